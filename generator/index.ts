/**
 * The compiler as a library.
 *
 * ```ts
 * import { compile, formatDiagnostics } from 'machinegen'
 *
 * const text = readFileSync('machine.yaml')
 * const { plan, artifacts, diagnostics, texts } = compile({ sources: [{ file: 'machine.yaml', text }] })
 * process.stderr.write(formatDiagnostics(diagnostics, texts, { format: 'pretty', color: false }))
 * ```
 *
 * `compile` is pure and synchronous: it reads no file, no clock and no environment but what it is given, and throws for
 * no input.
 */
export type { Machine } from '../schema/machine.ts'
export type { Plan, PlannedProxy, PlannedService, Probe, ProxyRoute, RestartBudget, Target } from '../schema/plan.ts'
export type { Artifact } from './artifact.ts'
export { type Compilation, type CompileInput, compile } from './compile.ts'
export { DIAGNOSTIC_CODES, type DiagnosticCode } from './diagnostics/codes.ts'
export type { Diagnostic, Location, Position, Range, RelatedLocation, Severity } from './diagnostics/diagnostic.ts'
export { type DiagnosticFormat, type FormatOptions, formatDiagnostics } from './diagnostics/format.ts'
export type { MachineSource } from './load/load-machine.ts'
export type { Origin, Pointer } from './load/origin.ts'
