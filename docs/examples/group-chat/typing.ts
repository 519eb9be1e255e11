export interface TypingLimits {
  /** How long somebody counts as writing after the last word of it. */
  readonly typingExpiresMs: number;
  /** The others are told of it no more often than this. */
  readonly typingToldEveryMs: number;
  /** Of how many the others are told. */
  readonly maxTypingNames: number;
}

/**
 * Who writes at the moment. Those who stop without a word are forgotten after a while, and changes are told together, so
 * that the others hear little of it however many write and however often they stop.
 */
export class Typing {
  readonly #expiresMs: number;
  readonly #tellEveryMs: number;
  readonly #maxNames: number;
  readonly #tell: (names: readonly string[]) => void;
  /** When each of those who write is forgotten; they stay in the order in which they began. */
  readonly #until = new Map<string, number>();
  #told: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param tell - gets the names of those who write, the longest first, whenever they are others
   * @param maxNames - how many names it gets at most
   */
  constructor(
    { typingExpiresMs, typingToldEveryMs, maxTypingNames }: TypingLimits,
    tell: (names: readonly string[]) => void,
  ) {
    this.#expiresMs = typingExpiresMs;
    this.#tellEveryMs = typingToldEveryMs;
    this.#maxNames = maxTypingNames;
    this.#tell = tell;
  }

  /** The names that were told last. */
  get told(): readonly string[] {
    return this.#told;
  }

  set(name: string, isTyping: boolean): void {
    if (isTyping) this.#until.set(name, performance.now() + this.#expiresMs);
    else if (!this.#until.delete(name)) return;
    // The timer of a room must not keep a process that has nothing else to do.
    this.#timer ??= setTimeout(() => this.#look(), this.#tellEveryMs).unref();
  }

  /** Runs as long as somebody writes, and once more. */
  #look(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [name, until] of this.#until) if (until <= now) this.#until.delete(name);
    const names = [...this.#until.keys()].slice(0, this.#maxNames);
    if (names.join('\n') !== this.#told.join('\n')) {
      this.#told = names;
      this.#tell(names);
    }
    if (this.#until.size > 0) this.#timer = setTimeout(() => this.#look(), this.#tellEveryMs).unref();
  }
}
