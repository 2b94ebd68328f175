/** How the parts of the core are written down and read again: a form per type, and tables of them that the compiler keeps complete. */

/** Plain: null, booleans, numbers, strings, arrays and plain objects. */
export interface Form<T> {
  readonly toPlain: (value: T) => unknown;
  readonly fromPlain: (plain: unknown) => T;
}

/** One form per field; a field that a type gains does not compile until it has one. */
export type FieldForms<T> = { readonly [K in keyof T]-?: Form<T[K]> };

/** What is plain already. */
export function asIs<T>(): Form<T> {
  return { toPlain: (value) => value, fromPlain: (plain) => plain as T };
}

export function setOf<T extends string | number>(): Form<Set<T>> {
  return { toPlain: (set) => [...set], fromPlain: (plain) => new Set(plain as T[]) };
}

export function mapOf<K extends string | number, V>(value: Form<V>): Form<Map<K, V>> {
  return {
    toPlain: (map) => [...map].map(([key, one]) => [key, value.toPlain(one)]),
    fromPlain: (plain) =>
      new Map((plain as [K, unknown][]).map(([key, one]) => [key, value.fromPlain(one)])),
  };
}

/** An object as the array of its fields' values, in the order of the table: names would be most of a small object. */
export function rowOf<T extends object>(forms: FieldForms<T>): Form<T> {
  const fields = Object.entries(forms) as [keyof T, Form<unknown>][];
  return {
    toPlain: (object) => fields.map(([name, form]) => form.toPlain(object[name])),
    fromPlain: (plain) => {
      const values = plain as unknown[];
      const object: Partial<Record<keyof T, unknown>> = {};
      for (const [index, [name, form]] of fields.entries())
        object[name] = form.fromPlain(values[index]);
      return object as T;
    },
  };
}
