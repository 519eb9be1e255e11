import { $, element, randomId } from './dom.js';
import { preparePicture } from './picture.js';

/** Pieces that may be on their way at once: enough for a fast network, few enough to tell how far it is. */
const AHEAD = 4;

const list = $('uploads');

/** Pictures that are being sent, one after another, each with a line that shows how far it is. */
export class Uploads {
  #send;
  #showProblem;
  #limits;
  #waiting = [];
  #current;
  #number = 0;

  /**
   * @param send - sends text or bytes, or returns false while there is no connection
   * @param showProblem - tells a person why a picture was not sent
   */
  constructor(send, showProblem) {
    this.#send = send;
    this.#showProblem = showProblem;
  }

  /** @param limits - `maxPictureBytes` and `pieceBytes`, as the server says them */
  setLimits(limits) {
    this.#limits = limits;
  }

  add(file) {
    const upload = { file, number: this.#number++, id: randomId(), bytes: undefined, sent: 0, confirmed: 0 };
    upload.bar = element('progress');
    upload.bar.setAttribute('aria-label', `Sending ${file.name}`);
    const cancel = element('button', 'icon-button', '✕');
    cancel.type = 'button';
    cancel.setAttribute('aria-label', `Stop sending ${file.name}`);
    cancel.onclick = () => this.#cancel(upload);
    upload.line = element('li');
    upload.line.append(element('span', 'file', file.name), upload.bar, cancel);
    list.append(upload.line);
    list.hidden = false;
    this.#waiting.push(upload);
    this.#next();
  }

  /** The server has so many bytes of a picture. */
  confirm(number, bytes) {
    const upload = this.#current;
    if (upload?.number !== number) return;
    upload.confirmed = bytes;
    upload.bar.value = bytes;
    if (bytes === upload.bytes.length) this.#end();
    else this.#pump();
  }

  refuse(number, sentence) {
    if (this.#current?.number === number) this.#fail(sentence);
  }

  /** There is a connection, and it is a new one: what was being sent begins again, and is posted once all the same. */
  resume() {
    if (this.#current?.bytes !== undefined) this.#begin();
    else this.#next();
  }

  async #next() {
    if (this.#current !== undefined || this.#waiting.length === 0 || this.#limits === undefined) return;
    const upload = this.#waiting.shift();
    this.#current = upload;
    try {
      const picture = await preparePicture(upload.file, this.#limits.maxPictureBytes);
      const bytes = new Uint8Array(await picture.arrayBuffer());
      if (upload !== this.#current) return;
      upload.bytes = bytes;
      this.#begin();
    } catch (error) {
      if (upload === this.#current) this.#fail(error.message);
    }
  }

  #begin() {
    const upload = this.#current;
    const { number, id, bytes, bar } = upload;
    upload.sent = 0;
    upload.confirmed = 0;
    bar.max = bytes.length;
    bar.value = 0;
    if (this.#send(JSON.stringify({ type: 'picture', number, id, size: bytes.length }))) this.#pump();
  }

  #pump() {
    const upload = this.#current;
    const { pieceBytes } = this.#limits;
    while (upload.sent < upload.bytes.length && upload.sent - upload.confirmed < AHEAD * pieceBytes) {
      const piece = upload.bytes.subarray(upload.sent, upload.sent + pieceBytes);
      if (!this.#send(piece)) return;
      upload.sent += piece.length;
    }
  }

  #cancel(upload) {
    if (upload === this.#current) {
      this.#send(JSON.stringify({ type: 'cancel' }));
      this.#end();
    } else {
      this.#waiting = this.#waiting.filter((other) => other !== upload);
      this.#remove(upload);
    }
    $('message').focus();
  }

  #fail(sentence) {
    this.#showProblem(`${this.#current.file.name}: ${sentence}`);
    this.#end();
  }

  #end() {
    const upload = this.#current;
    this.#current = undefined;
    this.#remove(upload);
    this.#next();
  }

  #remove(upload) {
    upload.line.remove();
    list.hidden = list.childElementCount === 0;
  }
}
