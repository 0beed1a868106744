// Copyright The Jackstaff Authors.
// SPDX-License-Identifier: Apache-2.0

declare const process: { env: Record<string, string | undefined> }

function given(name: string): string {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is not set`)
  return value
}

export const baseUrl = given('JACKSTAFF_URL')
export const project = given('JACKSTAFF_PROJECT')
export const headers = { Authorization: `Bearer ${given('JACKSTAFF_TOKEN')}` }

interface Answer<T> {
  data?: T
  error?: unknown
  response: Response
}

/** is returns what a request answered, which must be of the status. */
export async function is<T>(status: number, request: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await request
  if (response.status !== status) {
    throw new Error(`${response.url} answered ${response.status}, not ${status}: ${JSON.stringify(error ?? data)}`)
  }
  return data as T
}

/** equal fails where two values differ. */
export function equal<T>(got: T, want: T): void {
  if (got !== want) throw new Error(`got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`)
}
