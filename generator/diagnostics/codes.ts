/**
 * Every code a finding can carry. A closed union: docs/troubleshooting.md has a section for each, and a test fails
 * where one is missing.
 */
export const DIAGNOSTIC_CODES = [
  // reading a text
  'INPUT_NOT_TEXT',
  'INPUT_TOO_LARGE',
  'INPUT_EMPTY',
  'INPUT_NOT_A_MAP',
  'YAML_SYNTAX',
  'YAML_ALIAS_BOMB',
  'YAML_UNSUPPORTED',
  'DUPLICATE_KEY',
  'BAD_SET_OPTION',
  'BAD_INTERPOLATION',
  'VARIABLE_UNSET',
  'VARIABLE_REQUIRED',
  'BAD_ENVIRONMENT_VALUE',
  // the shape of the machine file
  'UNKNOWN_KEY',
  'UNKNOWN_SERVICE',
  'MISSING_KEY',
  'WRONG_TYPE',
  'INVALID_VALUE',
  // what the machine means
  'BAD_NAME',
  'RESERVED_NAME',
  'NAME_CONFLICT',
  'PORT_CONFLICT',
  'PORT_RANGE',
  'ROUTE_CONFLICT',
  'UNKNOWN_DEPENDENCY',
  'DEPENDENCY_DISABLED',
  'DEPENDENCY_CYCLE',
  'OWNED_FLAG',
  'OWNED_VARIABLE',
  'GPU_OUT_OF_RANGE',
  'GPU_COUNT_UNKNOWN',
  'MEMORY_OVERCOMMIT',
  'PATH_TRAVERSAL',
  'UNSAFE_VALUE',
  'STOP_CHAIN_TOO_LONG',
  'RESTART_BUDGET_UNREACHABLE',
  'LITERAL_SECRET',
  'PLACEHOLDER_VALUE',
  'HEALTH_ENDPOINT_UNSERVED',
  'OVERLAY_UNSUPPORTED',
  'PROXY_OPEN',
  'TARGET_UNSUPPORTED',
] as const

export type DiagnosticCode = (typeof DIAGNOSTIC_CODES)[number]
