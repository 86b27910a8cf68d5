/** Writes the id of the boot that this process belongs to into a file, then sleeps. */
import { writeFileSync } from 'node:fs'
import { computeBootId } from '../../runtime/shared/boot-id.ts'

writeFileSync(process.argv[2]!, computeBootId('test-machine'))
setInterval(() => {}, 1000)
