import { fileURLToPath } from 'node:url';

export default {
  // Where the packages of the examples are; an application of its own needs no such line.
  turbopack: { root: fileURLToPath(new URL('..', import.meta.url)) },
};
