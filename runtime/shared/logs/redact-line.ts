import type { RecognisedLine } from './recognise.ts'
import type { Redactor } from './redact.ts'

/** The line without known secrets; the very same where there is none in it. */
export function redactLine(line: RecognisedLine, { redactKnown }: Redactor): RecognisedLine {
  const { message, context, correlationId } = line
  const text = context === null ? '' : JSON.stringify(context)
  const isClean =
    redactKnown(message) === message &&
    redactKnown(text) === text &&
    (correlationId === null || redactKnown(correlationId) === correlationId)
  if (isClean) return line
  return {
    ...line,
    message: redactKnown(message),
    context: context === null ? null : (redactValue(context, redactKnown) as Record<string, unknown>),
    correlationId: correlationId === null ? null : redactKnown(correlationId),
  }
}

function redactValue(value: unknown, redactKnown: (text: string) => string): unknown {
  if (typeof value === 'string') return redactKnown(value)
  if (typeof value === 'number') return redactNumber(value, redactKnown)
  if (Array.isArray(value)) return value.map((item) => redactValue(item, redactKnown))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [redactKnown(name), redactValue(item, redactKnown)]),
  )
}

function redactNumber(value: number, redactKnown: (text: string) => string): unknown {
  const text = String(value)
  const redacted = redactKnown(text)
  return redacted === text ? value : redacted
}
