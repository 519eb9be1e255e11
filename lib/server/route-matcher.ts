import { InvalidStateError } from '../errors.ts';
import { decodeSegment, segmentsOf } from './path.ts';

/** A route that fits a path. */
export interface RouteMatch<T> {
  readonly pattern: string;
  readonly value: T;
  /** Values of the `:name` parameters, percent-decoded. */
  readonly params: ReadonlyMap<string, string>;
}

interface Node<T> {
  readonly children: Map<string, Node<T>>;
  /** What follows a parameter; its name belongs to the route, since `/a/:x/b` and `/a/:y/c` may stand side by side. */
  parameter: Node<T> | undefined;
  route: { readonly pattern: string; readonly names: readonly string[]; readonly value: T } | undefined;
}

const NO_PARAMS: ReadonlyMap<string, string> = new Map();

/**
 * Finds the route of a path. Patterns are static (`/chat`) or have `:name` parameters (`/chat/:room`), each of which
 * stands for one segment that is not empty. A static segment is preferred to a parameter.
 */
export class RouteMatcher<T> {
  readonly #root: Node<T> = makeNode();
  readonly #patterns = new Map<string, T>();

  /**
   * Adds a route.
   *
   * @throws {InvalidStateError} WS_ERR_INVALID_ROUTE | WS_ERR_DUPLICATE_ROUTE (also for patterns that differ in the names
   * of their parameters only)
   */
  add(pattern: string, value: T): void {
    const names = checkPattern(pattern);
    let node = this.#root;
    for (const segment of segmentsOf(pattern)) {
      if (segment.startsWith(':')) {
        node.parameter ??= makeNode();
        node = node.parameter;
      } else {
        let child = node.children.get(segment);
        if (child === undefined) {
          child = makeNode();
          node.children.set(segment, child);
        }
        node = child;
      }
    }
    if (node.route !== undefined) {
      const known = node.route.pattern;
      const same = known === pattern ? `"${pattern}"` : `"${pattern}", which fits the same paths as "${known}",`;
      throw new InvalidStateError(
        'WS_ERR_DUPLICATE_ROUTE',
        `the route ${same} is registered already: keep one of the two`,
      );
    }
    node.route = { pattern, names, value };
    this.#patterns.set(pattern, value);
  }

  /** The patterns that were added, in order. */
  get patterns(): readonly string[] {
    return [...this.#patterns.keys()];
  }

  /** What was added for a pattern. */
  get(pattern: string): T | undefined {
    return this.#patterns.get(pattern);
  }

  /** Finds the route of a path, as sent: its segments are decoded here. */
  match(path: string): RouteMatch<T> | undefined {
    // The target `*` of OPTIONS is no path.
    if (!path.startsWith('/')) return undefined;
    const segments = path.includes('%') ? segmentsOf(path).map(decodeSegment) : segmentsOf(path);
    const values: string[] = [];
    const route = find(this.#root, segments, 0, values);
    if (route === undefined) return undefined;
    const { pattern, names, value } = route;
    if (names.length === 0) return { pattern, value, params: NO_PARAMS };
    return { pattern, value, params: new Map(names.map((name, i) => [name, values[i]!])) };
  }
}

function find<T>(node: Node<T>, segments: readonly string[], at: number, values: string[]): Node<T>['route'] {
  if (at === segments.length) return node.route;
  const segment = segments[at]!;
  const child = node.children.get(segment);
  if (child !== undefined) {
    const route = find(child, segments, at + 1, values);
    if (route !== undefined) return route;
  }
  if (node.parameter === undefined || segment === '') return undefined;
  values.push(segment);
  const route = find(node.parameter, segments, at + 1, values);
  if (route === undefined) values.pop();
  return route;
}

function makeNode<T>(): Node<T> {
  return { children: new Map(), parameter: undefined, route: undefined };
}

/** Returns the names of a pattern's parameters. */
function checkPattern(pattern: string): string[] {
  if (typeof pattern !== 'string') throw invalid(pattern, 'give a string such as "/chat/:room"');
  if (/:\w+\?/.test(pattern)) throw invalid(pattern, 'no parameter is optional: register both patterns');
  if (!pattern.startsWith('/') || pattern.includes('?') || pattern.includes('#')) {
    throw invalid(pattern, 'start it with "/", and leave out query and fragment');
  }
  // Other routers give these a meaning; here they would wait for a path that nobody asks for.
  if (/[*{}]/.test(pattern)) {
    throw invalid(pattern, 'write a parameter as ":name"; there are no wildcards, and nothing is written in braces');
  }
  const names = segmentsOf(pattern)
    .filter((segment) => segment.startsWith(':'))
    .map((segment) => segment.slice(1));
  if (names.includes('')) throw invalid(pattern, 'write a name behind each ":"');
  if (new Set(names).size !== names.length) throw invalid(pattern, 'give each parameter a name of its own');
  return names;
}

function invalid(pattern: string, advice: string): InvalidStateError {
  return new InvalidStateError('WS_ERR_INVALID_ROUTE', `the route pattern "${pattern}" is not valid: ${advice}`);
}
