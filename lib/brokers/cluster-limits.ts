import { show } from '../wording.ts';

/** Checks that options are whole numbers from 1 on. @throws {RangeError} that names the one that is not */
export function checkLimits(limits: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new RangeError(`the option ${name} is a whole number from 1 on, and this is ${show(value)}`);
  }
}
