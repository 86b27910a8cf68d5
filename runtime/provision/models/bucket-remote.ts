import type { Environment } from '../download/connection.ts'

type Provider = 's3' | 'gs' | 'az'

/**
 * How rclone reaches a bucket: with the credentials of the machine's environment, else with what the host itself is
 * allowed (`env_auth`: roles of instances, files of the cloud's own tools).
 */
export function bucketRemote(
  provider: Provider,
  credential: (variable: string) => string | null,
  environment: Environment,
): Record<string, string> {
  if (provider === 's3') return s3Remote(credential, environment)
  if (provider === 'gs') return gsRemote(environment)
  const account = credential('AZURE_STORAGE_ACCOUNT')
  const key = credential('AZURE_STORAGE_KEY')
  return {
    type: 'azureblob',
    ...(account === null ? {} : { account }),
    ...(key === null ? { env_auth: 'true' } : { key }),
  }
}

function s3Remote(credential: (variable: string) => string | null, environment: Environment): Record<string, string> {
  const id = credential('AWS_ACCESS_KEY_ID')
  const secret = credential('AWS_SECRET_ACCESS_KEY') ?? decodeKey(credential('AWS_SECRET_ACCESS_KEY_ENCODED'))
  const session = credential('AWS_SESSION_TOKEN')
  const endpoint = environment.AWS_ENDPOINT_URL_S3 || environment.AWS_ENDPOINT_URL
  return {
    type: 's3',
    provider: endpoint === undefined || endpoint === '' ? 'AWS' : 'Other',
    region: environment.AWS_DEFAULT_REGION || environment.AWS_REGION || 'us-east-1',
    ...(id === null || secret === null ? { env_auth: 'true' } : { access_key_id: id, secret_access_key: secret }),
    ...(session === null ? {} : { session_token: session }),
    ...(endpoint ? { endpoint } : {}),
  }
}

/** The original machines wrote each `/` of the key as `_SLASH_`. */
function decodeKey(encoded: string | null): string | null {
  return encoded?.replaceAll('_SLASH_', '/') ?? null
}

function gsRemote(environment: Environment): Record<string, string> {
  const file = environment.GOOGLE_APPLICATION_CREDENTIALS
  return {
    type: 'google cloud storage',
    bucket_policy_only: 'true',
    ...(file ? { service_account_file: file } : { env_auth: 'true' }),
  }
}
