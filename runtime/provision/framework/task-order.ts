/** What a task is asked for besides its usual work: `machine-provision worker-package --update`. */
export type TaskOrder = 'provision' | 'update' | 'rollback'

/** Tasks that know more than one order. */
export const ORDERS: Readonly<Record<string, readonly TaskOrder[]>> = {
  'worker-package': ['provision', 'update', 'rollback'],
}
