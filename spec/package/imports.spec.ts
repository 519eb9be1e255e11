import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const LIB = fileURLToPath(new URL('../../lib', import.meta.url));

/** What a layer may import, of lib and of Node. A layer is a folder of lib, or one of its files. */
interface Layer {
  /** Layers it may import, besides itself. */
  readonly layers: readonly string[];
  /** Layers of which it may import the types, but nothing that runs. */
  readonly types?: readonly string[];
  /** The only modules of Node it may import; without it, all but those that RESERVED gives to others. */
  readonly builtins?: readonly string[];
}

const LAYERS: Readonly<Record<string, Layer>> = {
  'errors.ts': { layers: ['codec/close-code.ts'], builtins: [] },
  'wording.ts': { layers: [], builtins: ['node:util'] },
  'warnings.ts': { layers: [], builtins: [] },
  'diagnostics.ts': {
    layers: ['errors.ts'],
    types: ['net', 'server', 'topics'],
    builtins: ['node:buffer', 'node:diagnostics_channel'],
  },
  channel: { layers: ['errors.ts', 'wording.ts'] },
  codec: { layers: ['errors.ts', 'wording.ts'], builtins: ['node:buffer', 'node:crypto'] },
  protocol: { layers: ['errors.ts', 'wording.ts', 'codec'], builtins: ['node:buffer', 'node:crypto'] },
  extensions: { layers: ['errors.ts', 'wording.ts', 'codec'] },
  handshake: { layers: ['errors.ts', 'wording.ts', 'codec'] },
  broadcast: { layers: ['errors.ts', 'wording.ts', 'codec', 'channel'], types: ['net'] },
  topics: {
    layers: ['errors.ts', 'wording.ts', 'warnings.ts', 'diagnostics.ts', 'codec', 'channel', 'broadcast'],
    types: ['net'],
  },
  // Bytes and their order are all that a broker knows of topics.
  brokers: { layers: ['errors.ts', 'wording.ts', 'topics/broker.ts'] },
  net: {
    layers: ['errors.ts', 'wording.ts', 'diagnostics.ts', 'codec', 'channel', 'protocol', 'extensions', 'handshake'],
  },
  server: {
    layers: [
      'errors.ts',
      'wording.ts',
      'warnings.ts',
      'diagnostics.ts',
      'codec',
      'channel',
      'protocol',
      'extensions',
      'handshake',
      'broadcast',
      'topics',
      'net',
    ],
  },
  'index.ts': {
    layers: [
      'errors.ts',
      'diagnostics.ts',
      'codec',
      'channel',
      'protocol',
      'extensions',
      'handshake',
      'broadcast',
      'net',
      'topics',
      'server',
    ],
  },
  'redis.ts': { layers: ['brokers'] },
  'nats.ts': { layers: ['brokers'] },
  'cluster.ts': { layers: ['brokers'] },
  'broker-testing.ts': { layers: ['brokers'] },
};

/** What the package has entries for: `hyperlane-ws`, `hyperlane-ws/redis`. */
const ENTRIES = ['index.ts', 'redis.ts', 'nats.ts', 'cluster.ts', 'broker-testing.ts'];

/** Modules of Node that only one layer may load; the types of a socket or a request may be named anywhere. */
const RESERVED: Readonly<Record<string, string>> = {
  'node:net': 'net',
  'node:tls': 'net',
  'node:http': 'server',
  'node:https': 'server',
};

/** Files that may have the pure part of a module that is not their layer's, if it is there. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  // A function that masks bytes.
  'codec/mask-native.ts': 'node:http',
};

interface Import {
  readonly from: string;
  readonly isType: boolean;
}

/** Reads the imports and re-exports of a source. One in a comment is none. */
function readImports(source: string): Import[] {
  const code = withoutComments(source);
  const statements = code.matchAll(/^\s*(?:import|export)\s+(type\s)?(?:[^'"`;()]*?\sfrom\s*)?['"]([^'"]+)['"]/gm);
  const calls = code.matchAll(/(typeof\s+)?\b(?:import|require|getBuiltinModule)\(\s*['"`]([^'"`]+)['"`]/g);
  return [...statements, ...calls].map(([, type, from]) => ({ from: from!, isType: type !== undefined }));
}

function withoutComments(source: string): string {
  return source.replace(/^\s*\/\*[\s\S]*?\*\//gm, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

function layerOf(file: string): string {
  return file.split('/')[0]!;
}

/** Lists what the imports of a lib folder do against the rules: `file imports what: the rule`. */
function findViolations(lib: string): string[] {
  const files = listSources(lib);
  const graph = new Map<string, string[]>();
  const violations: string[] = [];
  for (const file of files) {
    const targets: string[] = [];
    for (const { from, isType } of readImports(readFileSync(join(lib, file), 'utf8'))) {
      const target = from.startsWith('.') ? relative(lib, join(lib, dirname(file), from)) : undefined;
      const rule = target === undefined ? breaksBuiltins(file, from, isType) : breaksLayers(lib, file, target, isType);
      if (rule !== undefined) violations.push(`${file} imports ${target ?? from}: ${rule}`);
      if (target !== undefined && !isType) targets.push(target);
    }
    graph.set(file, targets);
  }
  for (const entry of ENTRIES.filter((name) => files.includes(name))) {
    const code = withoutComments(readFileSync(join(lib, entry), 'utf8'));
    const rest = code.replace(/\bexport\s+(?:type\s+)?\{[^}]*\}\s+from\s+'[^']+';/g, '').trim();
    if (rest !== '') violations.push(`${entry} has more than named re-exports: ${rest.split('\n')[0]}`);
  }
  return [...violations, ...findCycles(graph)];
}

function breaksBuiltins(file: string, from: string, isType: boolean): string | undefined {
  if (!from.startsWith('node:')) return 'lib has no dependencies; a module of Node is written node:name';
  if (EXCEPTIONS[file] === from) return undefined;
  const owner = RESERVED[from];
  const layer = layerOf(file);
  const allowed = LAYERS[layer]?.builtins;
  if (allowed !== undefined && !allowed.includes(from))
    return `${layer} may import ${allowed.join(', ') || 'no module of Node'}`;
  if (owner !== undefined && owner !== layer && !isType)
    return `only ${owner} may load it; import its types with "import type"`;
  return undefined;
}

function breaksLayers(lib: string, file: string, target: string, isType: boolean): string | undefined {
  if (target.startsWith('..')) return 'it is outside of lib';
  if (!target.endsWith('.ts') || !existsSync(join(lib, target))) return 'there is no such file; imports end in .ts';
  const from = layerOf(file);
  const to = layerOf(target);
  const layer = LAYERS[from];
  if (layer === undefined) return `${from} is not a layer yet: give it a row in LAYERS`;
  if (from === to || layer.layers.includes(to) || layer.layers.includes(target)) return undefined;
  if (layer.types?.includes(to)) return isType ? undefined : `${from} may import only types of ${to}`;
  return `${from} may import ${layer.layers.join(', ')}`;
}

/** Finds files that load each other at runtime: which of them runs first then depends on who imports them. */
function findCycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) cycles.push(`cycle: ${[...path.slice(start), file].join(' -> ')}`);
    if (start >= 0 || done.has(file)) return;
    for (const target of graph.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return cycles;
}

function listSources(lib: string): string[] {
  const paths = readdirSync(lib, { recursive: true, encoding: 'utf8' });
  return paths.filter((path) => path.endsWith('.ts')).sort();
}

describe('imports of lib', () => {
  it('follow the order of the layers', () => {
    assert.ok(listSources(LIB).length > 1, 'lib has files to check');
    assert.deepEqual(findViolations(LIB), []);
  });
});

describe('the check of imports', () => {
  let lib: string;

  before(() => {
    lib = mkdtempSync(join(tmpdir(), 'hyperlane-imports-'));
  });
  after(() => rmSync(lib, { recursive: true, force: true }));

  /** Writes a tree of its own for one example and returns what the check finds in it. */
  function check(sources: Record<string, string>): string[] {
    rmSync(lib, { recursive: true, force: true });
    for (const [file, source] of Object.entries(sources)) {
      mkdirSync(dirname(join(lib, file)), { recursive: true });
      writeFileSync(join(lib, file), source);
    }
    return findViolations(lib);
  }

  it('finds nothing in a tree that keeps the rules', () => {
    const found = check({
      'errors.ts': "import { CloseCode } from './codec/close-code.ts';\nexport class E {}\n",
      'codec/close-code.ts': 'export const CloseCode = {};\n',
      'codec/mask.ts': "import { Buffer } from 'node:buffer';\nimport { E } from '../errors.ts';\n",
      'channel/channel.ts': "import { E } from '../errors.ts';\n",
      'handshake/upgrade.ts': "import type { IncomingMessage } from 'node:http';\n",
      'broadcast/broadcast.ts':
        "import { A } from '../channel/channel.ts';\nimport type { B } from '../net/connection.ts';\n",
      'net/connection.ts': "import net, {\n  type Socket,\n} from 'node:net';\nexport class Connection {}\n",
      'server/server.ts': "import http from 'node:http';\nimport { Connection } from '../net/connection.ts';\n",
      'index.ts':
        "/** Doc. */\nexport { Server } from './server/server.ts';\nexport type {\n  A,\n} from './errors.ts';\n",
    });
    assert.deepEqual(found, []);
  });

  it('finds an import that goes up', () => {
    const found = check({
      'codec/mask.ts': "import {\n  p,\n} from '../protocol/protocol.ts';\n",
      'protocol/protocol.ts': "export { c } from '../net/connection.ts';\nexport const p = 1;\n",
      'net/connection.ts': "import '../server/server.ts';\n",
      'server/server.ts': '',
      'handshake/upgrade.ts': "const p = await import('../protocol/protocol.ts');\n",
    });
    assert.deepEqual(
      found.map((line) => line.split(':')[0]),
      [
        'codec/mask.ts imports protocol/protocol.ts',
        'handshake/upgrade.ts imports protocol/protocol.ts',
        'net/connection.ts imports server/server.ts',
        'protocol/protocol.ts imports net/connection.ts',
      ],
    );
  });

  it('finds an import of a type that goes up', () => {
    const found = check({
      'channel/channel.ts': "import type { Mask } from '../codec/mask.ts';\n",
      'codec/mask.ts': '',
    });
    assert.deepEqual(found, ['channel/channel.ts imports codec/mask.ts: channel may import errors.ts, wording.ts']);
  });

  it('tells an import of a type from one that runs', () => {
    const found = check({
      'broadcast/broadcast.ts': "import { Connection } from '../net/connection.ts';\n",
      'net/connection.ts': '',
    });
    assert.deepEqual(found, [
      'broadcast/broadcast.ts imports net/connection.ts: broadcast may import only types of net',
    ]);
  });

  it('lets errors.ts have the close codes and nothing else of the codec', () => {
    const found = check({
      'errors.ts': "import { mask } from './codec/mask.ts';\n",
      'codec/mask.ts': '',
    });
    assert.deepEqual(found, ['errors.ts imports codec/mask.ts: errors.ts may import codec/close-code.ts']);
  });

  it('finds sockets outside of net, servers outside of server, and modules the codec may not have', () => {
    const found = check({
      'server/server.ts': "import { Socket } from 'node:net';\nimport type { TLSSocket } from 'node:tls';\n",
      'net/connection.ts': "import https from 'node:https';\n",
      'codec/mask.ts': "import type { EventEmitter } from 'node:events';\n",
      'protocol/protocol.ts': "import { setTimeout } from 'node:timers';\n",
      'handshake/upgrade.ts': "const net = process.getBuiltinModule('node:net');\n",
    });
    assert.deepEqual(found, [
      'codec/mask.ts imports node:events: codec may import node:buffer, node:crypto',
      'handshake/upgrade.ts imports node:net: only net may load it; import its types with "import type"',
      'net/connection.ts imports node:https: only server may load it; import its types with "import type"',
      'protocol/protocol.ts imports node:timers: protocol may import node:buffer, node:crypto',
      'server/server.ts imports node:net: only net may load it; import its types with "import type"',
    ]);
  });

  it('finds a dependency, a module of Node without its prefix, and a file that is not there or not in lib', () => {
    const found = check({
      'net/connection.ts': "import fc from 'fast-check';\nimport net from 'net';\n",
      'server/server.ts': "import { a } from './hooks.js';\nimport { b } from '../../spec/support/seed.ts';\n",
    });
    assert.deepEqual(found, [
      'net/connection.ts imports fast-check: lib has no dependencies; a module of Node is written node:name',
      'net/connection.ts imports net: lib has no dependencies; a module of Node is written node:name',
      'server/server.ts imports server/hooks.js: there is no such file; imports end in .ts',
      'server/server.ts imports ../spec/support/seed.ts: it is outside of lib',
    ]);
  });

  it('finds files that load each other, and lets them share types', () => {
    const found = check({
      'server/context.ts': "import { Request } from './request.ts';\n",
      'server/request.ts': "import { Context } from './context.ts';\n",
      'server/route.ts': "import { Server } from './server.ts';\n",
      'server/server.ts': "import type { Route } from './route.ts';\n",
    });
    assert.deepEqual(found, ['cycle: server/context.ts -> server/request.ts -> server/context.ts']);
  });

  it('finds code in the public index', () => {
    const named = "export { Server } from './server/server.ts';\n";
    assert.deepEqual(check({ 'index.ts': `${named}export const version = 1;\n`, 'server/server.ts': '' }), [
      'index.ts has more than named re-exports: export const version = 1;',
    ]);
    assert.deepEqual(check({ 'index.ts': "export * from './server/server.ts';\n", 'server/server.ts': '' }), [
      "index.ts has more than named re-exports: export * from './server/server.ts';",
    ]);
  });

  it('is not taken in by comments', () => {
    const found = check({
      'codec/mask.ts':
        "/**\n * @example\nimport { Server } from 'hyperlane-ws';\n */\n// import net from 'node:net';\n",
    });
    assert.deepEqual(found, []);
  });

  it('wants a row for a new folder', () => {
    const found = check({ 'client/client.ts': "import { E } from '../errors.ts';\n", 'errors.ts': '' });
    assert.deepEqual(found, ['client/client.ts imports errors.ts: client is not a layer yet: give it a row in LAYERS']);
  });
});
