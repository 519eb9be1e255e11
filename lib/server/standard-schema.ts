/**
 * The interface by which a schema of any library can be used: Standard Schema, version 1 (https://standardschema.dev).
 * Zod from 3.24 on, Valibot from 1.0 on and ArkType from 2.0 on implement it, among others.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': StandardSchemaProps<Input, Output>;
}

/** What a schema tells of itself. */
export interface StandardSchemaProps<Input = unknown, Output = Input> {
  readonly version: 1;
  /** The name of the library. */
  readonly vendor: string;
  /** Checks a value, and returns what it makes of it, or what is wrong with it. */
  readonly validate: (value: unknown) => StandardSchemaResult<Output> | Promise<StandardSchemaResult<Output>>;
  /** For types alone: there is no such value. */
  readonly types?: { readonly input: Input; readonly output: Output } | undefined;
}

export type StandardSchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardSchemaIssue[] };

export interface StandardSchemaIssue {
  readonly message: string;
  /** Keys, some of them wrapped, from the whole value down. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}
