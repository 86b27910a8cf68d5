import { readFileSync } from 'node:fs'
import Ajv2020 from 'ajv/dist/2020.js'

/** The schema of events as a document. */
export const eventSchema = JSON.parse(readFileSync(new URL('../../schema/events.schema.json', import.meta.url), 'utf8'))

const ajv = new Ajv2020.default({ strict: false, allErrors: true })
const validate = ajv.compile(eventSchema)

/** What is wrong with an event by schema/events.schema.json; `null` for a right one. */
export function eventFlaw(event: unknown): string | null {
  return validate(event) ? null : ajv.errorsText(validate.errors)
}
