import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { Broadcast } from '../../lib/broadcast/broadcast.ts';
import { BroadcastMap } from '../../lib/broadcast/broadcast-map.ts';
import { BroadcastReceiver } from '../../lib/broadcast/broadcast-receiver.ts';
import { Receive } from '../../lib/channel/receive.ts';
import { describeError, ERROR_CODES } from '../../lib/errors.ts';
import { Connections, ServerConnection } from '../../lib/server/connections.ts';
import { Context } from '../../lib/server/context.ts';
import { resolveOptions } from '../../lib/server/options.ts';
import { Request } from '../../lib/server/request.ts';
import { Response } from '../../lib/server/response.ts';
import { Server } from '../../lib/server/server.ts';
import { WebSocketStream } from '../../lib/server/websocket-stream.ts';
import { ConnectionSubscription } from '../../lib/topics/connection-subscription.ts';
import { TopicSubscription } from '../../lib/topics/topic-subscription.ts';
import { Topics } from '../../lib/topics/topics.ts';
import { WARNING_CODES } from '../../lib/warnings.ts';
import { type Page, ROOT, readPage } from './markdown.ts';

/** The reference is complete, and has nothing that is not there. */

interface Documented {
  readonly class: abstract new (...args: never[]) => unknown;
  readonly page: string;
  /** The heading that the methods stand below, where a page has several classes. */
  readonly below?: string;
}

const CLASSES: readonly Documented[] = [
  { class: Server, page: 'docs/reference/server.md' },
  { class: Connections, page: 'docs/reference/connections.md', below: 'Connections' },
  { class: ServerConnection, page: 'docs/reference/connections.md', below: 'ServerConnection' },
  { class: Context, page: 'docs/reference/context.md' },
  { class: Request, page: 'docs/reference/request.md' },
  { class: Response, page: 'docs/reference/response.md' },
  { class: WebSocketStream, page: 'docs/reference/stream.md' },
  { class: Broadcast, page: 'docs/reference/broadcast.md', below: 'Broadcast' },
  { class: BroadcastReceiver, page: 'docs/reference/broadcast.md', below: 'BroadcastReceiver' },
  { class: BroadcastMap, page: 'docs/reference/broadcast.md', below: 'BroadcastMap' },
  { class: Topics, page: 'docs/reference/topics.md', below: 'Topics' },
  { class: TopicSubscription, page: 'docs/reference/topics.md', below: 'TopicSubscription' },
  { class: ConnectionSubscription, page: 'docs/reference/topics.md', below: 'ConnectionSubscription' },
  { class: Receive, page: 'docs/reference/select.md', below: 'Receive' },
];

/** Names that the sources mark as internal, or that only subclasses see. */
const HIDDEN: ReadonlySet<string> = new Set(
  readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .flatMap((path) => {
      const source = readFileSync(join(ROOT, 'lib', path), 'utf8');
      const file = path.split('/').at(-1)!;
      const marked = source.matchAll(/@internal \*\/\s+(?:async |override |readonly |get |static )*(\w+)/g);
      const inBlocks = source.matchAll(/@internal\s*\n\s*\*\/\s+(?:async |override |readonly |get |static )*(\w+)/g);
      const guarded = source.matchAll(/^ {2}protected (?:abstract |override |async )*(\w+)/gm);
      return [...marked, ...inBlocks, ...guarded].map(([, name]) => `${file}:${name}`);
    }),
);

function fileOf(name: string): string {
  return `${name.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()}.ts`.replace('web-socket', 'websocket');
}

/** The public members of a class and those that it inherits. */
function membersOf(documented: Documented['class']): string[] {
  const names: string[] = [];
  const own = Object.getOwnPropertyNames(documented).filter((name) => !['length', 'name', 'prototype'].includes(name));
  names.push(...own.map((name) => `${documented.name}.${name}`));
  for (let type = documented; type.prototype !== undefined; type = Object.getPrototypeOf(type)) {
    for (const name of Object.getOwnPropertyNames(type.prototype)) {
      if (name !== 'constructor' && !HIDDEN.has(`${fileOf(type.name)}:${name}`)) names.push(name);
    }
  }
  return [...new Set(names)];
}

/** The names that have a heading of their own on a page, or below one heading of it. */
function headedNames(page: Page, below?: string): string[] {
  const start = below === undefined ? 0 : page.headings.findIndex(({ level, text }) => level === 2 && text === below);
  assert.notEqual(start, -1, `${page.path} has no heading ${below}`);
  const rest = page.headings.slice(start + 1);
  const end = below === undefined ? -1 : rest.findIndex(({ level }) => level <= 2);
  return rest
    .slice(0, end === -1 ? undefined : end)
    .filter(({ level, text }) => level === 3 && text.startsWith('`'))
    .map(({ text }) => /^`([\w.]+)/.exec(text)![1]!);
}

describe('the reference', () => {
  for (const documented of CLASSES) {
    it(`has an entry for each method of ${documented.class.name}, and no other`, () => {
      const entries = headedNames(readPage(documented.page), documented.below);
      assert.deepEqual(entries.sort(), membersOf(documented.class).sort());
    });
  }

  it('sees members that are public, and none that are internal', () => {
    assert.ok(membersOf(Server).includes('route'));
    assert.ok(!membersOf(Server).includes('reportError'));
    assert.ok(membersOf(Request).includes('Request.websocketRequestFromStream'));
    assert.ok(membersOf(BroadcastReceiver).includes('waiting'));
    assert.ok(!membersOf(BroadcastReceiver).includes('takeAt'));
  });
});

/** The text of each section of the third or second level, by its heading. */
function sectionsOf(page: Page, level: number): Map<string, string> {
  const mark = `${'#'.repeat(level)} `;
  const sections = new Map<string, string>();
  let name: string | undefined;
  for (const line of page.lines) {
    if (line.startsWith(mark)) name = line.slice(mark.length).replaceAll('`', '');
    else if (/^#{1,2} /.test(line)) name = undefined;
    else if (name !== undefined) sections.set(name, `${sections.get(name) ?? ''}${line}\n`);
  }
  return sections;
}

describe('docs/reference/options.md', () => {
  const sections = sectionsOf(readPage('docs/reference/options.md'), 3);
  const defaults = Object.entries(resolveOptions({}));

  it('has each option, and no other', () => {
    assert.deepEqual([...sections.keys()].sort(), defaults.map(([name]) => name).sort());
  });

  for (const [name, value] of defaults) {
    it(`states the default of ${name}`, () => {
      const stated = /Default: `([^`]+)`/.exec(sections.get(name) ?? '')?.[1];
      assert.equal(stated, inspect(value));
    });
  }

  it('states a unit for each number', () => {
    for (const [name, value] of defaults) {
      if (typeof value !== 'number' || name === 'port') continue;
      const units = {
        maxQueuedMessages: 'A number of messages',
        maxMessagesPerSecond: 'A number of messages',
        maxConnections: 'A number of WebSockets',
        maxPipelinedRequests: 'A number of requests',
      };
      const unit = name.endsWith('Bytes')
        ? 'Bytes'
        : name.endsWith('Ms')
          ? 'Milliseconds'
          : units[name as keyof typeof units];
      assert.ok(sections.get(name)!.trim().startsWith(unit), `${name} begins with its unit`);
    }
  });
});

describe('docs/reference/errors.md', () => {
  const sections = sectionsOf(readPage('docs/reference/errors.md'), 2);

  for (const code of ERROR_CODES) {
    it(`tells of ${code} its class, its close code and what to do`, () => {
      const text = sections.get(code) ?? assert.fail('it has no heading');
      const { class: name, closeCode } = describeError(code);
      assert.ok(
        text.includes(`Class: \`${name}\`. ${closeCode === undefined ? 'No close code' : `Close code: ${closeCode}`}.`),
      );
      assert.match(text, /\*\*What to do:\*\* \S/);
    });
  }

  it('tells of each warning what to do, and of no other', () => {
    const warnings = [...sections].filter(([heading]) => heading.startsWith('WS_WARN_'));
    assert.deepEqual(warnings.map(([code]) => code).sort(), [...WARNING_CODES].sort());
    for (const [, text] of warnings) assert.match(text, /\*\*What to do:\*\* \S/);
  });

  it('has each code in a spec of what causes it', () => {
    const specs = readdirSync(join(ROOT, 'spec'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.spec.ts'))
      .map((path) => readFileSync(join(ROOT, 'spec', path), 'utf8'))
      .join('');
    assert.deepEqual(
      [...ERROR_CODES, ...WARNING_CODES].filter((code) => !specs.includes(code)),
      [],
    );
  });
});
