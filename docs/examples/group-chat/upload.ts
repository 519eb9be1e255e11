/** A picture on its way from a page, in pieces. Holds no more than its size. */
export class Upload {
  /** What the page calls it while it is sent. */
  readonly number: number;
  /** What it is called among all pictures. */
  readonly id: string;
  /** In bytes. */
  readonly size: number;
  readonly pieces: Uint8Array[] = [];
  readonly #pieceBytes: number;
  #received = 0;

  constructor(number: number, id: string, size: number, pieceBytes: number) {
    this.number = number;
    this.id = id;
    this.size = size;
    this.#pieceBytes = pieceBytes;
  }

  /** How many bytes have arrived. */
  get received(): number {
    return this.#received;
  }

  get isWhole(): boolean {
    return this.#received === this.size;
  }

  /** Takes the next piece; returns false for one of another length, so that nobody sends a picture byte by byte. */
  add(piece: Uint8Array): boolean {
    if (piece.length !== Math.min(this.#pieceBytes, this.size - this.#received)) return false;
    this.pieces.push(piece);
    this.#received += piece.length;
    return true;
  }
}
