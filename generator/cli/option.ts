/** One option of a verb: what both argument parsers, the help and the completion know of it. */
export type Option =
  | { readonly kind: 'flag'; readonly help: string; readonly alias?: string }
  /** A text, once. */
  | {
      readonly kind: 'text'
      readonly help: string
      /** What the help calls its value: `DIR`. */
      readonly value: string
      readonly alias?: string
      readonly required?: true
      /** What the whole text must be, and how a message says that. */
      readonly form?: { readonly pattern: RegExp; readonly words: string }
    }
  /** A text, any number of times. */
  | { readonly kind: 'list'; readonly help: string; readonly value: string; readonly alias?: string }
  | {
      readonly kind: 'number'
      readonly help: string
      readonly value: string
      readonly alias?: string
      readonly most: number
    }
  | {
      readonly kind: 'choice'
      readonly help: string
      readonly choices: readonly string[]
      readonly alias?: string
      /** What it is when it is not given. */
      readonly initial?: string
    }

export type Options = Readonly<Record<string, Option>>

/** What a verb reads beside its options. `many`: none is fine too. */
export interface Words {
  readonly name: string
  readonly help: string
  readonly count: 'optional' | 'one' | 'one and more' | 'many'
  readonly choices?: readonly string[]
}

export interface Verb {
  readonly help: string
  readonly words?: Words
  readonly options: Options
  /** Pairs of options that contradict each other. */
  readonly conflicts?: readonly (readonly [string, string])[]
  readonly examples: readonly { readonly command: string; readonly does: string }[]
}

type ValueOf<O extends Option> = O extends { kind: 'flag' }
  ? boolean
  : O extends { kind: 'list' }
    ? readonly string[]
    : O extends { kind: 'number' }
      ? number | undefined
      : O extends { kind: 'choice'; choices: readonly (infer Choice)[] }
        ? O extends { initial: string }
          ? Choice
          : Choice | undefined
        : O extends { required: true }
          ? string
          : string | undefined

/** The values of a verb's options: flags are false and lists empty where they were not given. */
export type ValuesOf<O extends Options> = { readonly [Name in keyof O]: ValueOf<O[Name]> }

/** What the options of any verb may hold. */
export type Value = boolean | string | number | readonly string[] | undefined
