/**
 * What of a sidecar says events, as a process that can be killed: `event-child ROOT URL [quiet]`. Prints each number with the
 * mark of its event once the journal has it. Takes spooled events as well; a quiet one has nothing to say of its own.
 */
import { randomUUID } from 'node:crypto'
import { writeSync } from 'node:fs'
import { spoolDirectory } from '../../runtime/shared/event-spool.ts'
import { startSpoolReader } from '../../runtime/sidecar/events/spool-reader.ts'
import { journalAndOutbox } from './event-outbox.ts'

const [, , root = '', url = '', mood] = process.argv
const { journal } = journalAndOutbox({ root, url, delayMs: () => 50 })
startSpoolReader({
  directory: spoolDirectory({ state: `${root}/state` }),
  take: journal.appendSpooled,
  takenNames: journal.spoolNames,
  onProblem: (message) => writeSync(2, `${message}\n`),
})

function burst(): void {
  for (let n = 0; n < 1 + Math.random() * 8; n++) {
    const mark = randomUUID()
    const { seq } = journal.append({ type: 'operator.action', status: 'marked', context: { mark } })
    writeSync(1, `${seq} ${mark}\n`)
  }
  setTimeout(burst, Math.random() * 10)
}

if (mood !== 'quiet') burst()
