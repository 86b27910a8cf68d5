export type Scalar = null | boolean | number | string

/**
 * A plain scalar by the rules of the YAML 1.2 core schema: `null`, `true`, `80`, `0x1F`, `1.5e3`, or else a string.
 * The empty text is the empty string. `problem` says why a number cannot be used.
 */
export function resolveCoreScalar(text: string): { value: Scalar } | { problem: string } {
  if (text === '') return { value: '' }
  if (/^(?:~|null|Null|NULL)$/.test(text)) return { value: null }
  if (/^(?:true|True|TRUE)$/.test(text)) return { value: true }
  if (/^(?:false|False|FALSE)$/.test(text)) return { value: false }
  const value = coreNumber(text)
  if (value === undefined) return { value: text }
  const problem = numberProblem(value, text)
  return problem === undefined ? { value: value + 0 } : { problem }
}

function coreNumber(text: string): number | undefined {
  if (/^[-+]?(?:[0-9]+|(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$/.test(text)) {
    return Number.parseFloat(text)
  }
  if (/^0o[0-7]+$/.test(text)) return Number.parseInt(text.slice(2), 8)
  if (/^0x[0-9a-fA-F]+$/.test(text)) return Number.parseInt(text.slice(2), 16)
  if (/^[-+]?\.(?:inf|Inf|INF)$/.test(text)) return Number.POSITIVE_INFINITY
  if (/^\.(?:nan|NaN|NAN)$/.test(text)) return Number.NaN
  return undefined
}

/** Why a number that was written as `source` has no exact value here, if it has none. */
export function numberProblem(value: number, source: string): string | undefined {
  if (!Number.isFinite(value)) return 'only finite numbers have a meaning here'
  const isWritten = !Number.isInteger(value) || Number.isSafeInteger(value) || /[.eE]/.test(source.replace(/^0x.*/, ''))
  if (isWritten || String(value) === source.replace(/^\+/, '').replace(/^(-?)0+(?=\d)/, '$1')) return undefined
  return `it is beyond the whole numbers that are kept exactly and would become ${value}`
}
