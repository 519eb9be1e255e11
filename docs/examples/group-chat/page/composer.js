import { $ } from './dom.js';

/** While somebody writes, the others are told again after this time, lest they believe that it has stopped. */
const TELL_EVERY_MS = 3000;

const form = $('compose');
const box = $('message');
const dropArea = $('chat');

/** Where messages are written: text, and pictures that are chosen, pasted or dropped. */
export class Composer {
  #on;
  /** The texts that were given back, as they stand at the beginning of the box. */
  #givenBack = '';
  #toldTypingAt = -TELL_EVERY_MS;
  #isTyping = false;

  /** @param on - `sendText(text)`, which returns whether it was sent, `sendPictures(files)`, `sendTyping(isTyping)` */
  constructor(on) {
    this.#on = on;
    form.onsubmit = (event) => {
      event.preventDefault();
      this.#submit();
    };
    box.oninput = () => {
      fitToText();
      this.#tellTyping(box.value.trim() !== '');
    };
    box.onkeydown = (event) => {
      // While a word is being composed, Enter chooses it.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    };
    box.onpaste = (event) => {
      const { files } = event.clipboardData;
      if (files.length === 0) return;
      event.preventDefault();
      on.sendPictures(files);
    };
    $('choose-picture').onclick = () => $('picture').click();
    $('picture').onchange = (event) => {
      on.sendPictures(event.target.files);
      event.target.value = '';
      box.focus();
    };
    dropArea.ondragover = (event) => {
      event.preventDefault();
      dropArea.classList.add('dropping');
    };
    dropArea.ondragleave = () => dropArea.classList.remove('dropping');
    dropArea.ondrop = (event) => {
      event.preventDefault();
      dropArea.classList.remove('dropping');
      on.sendPictures(event.dataTransfer.files);
    };
  }

  focus() {
    box.focus();
  }

  /** Puts a text that was refused before what is being written, and behind those that were refused before it. */
  giveBack(text) {
    // Where somebody has changed them, nobody knows where they end: the text is safe at the beginning.
    if (!box.value.startsWith(this.#givenBack)) this.#givenBack = '';
    const at = this.#givenBack.length;
    const added = at === 0 ? text : `\n${text}`;
    const isLast = box.value.length === at;
    // Who was about to write goes on behind it; who is in the middle of a text stays there.
    const caret = isLast && box.selectionStart === at ? 'end' : 'preserve';
    box.setRangeText(isLast || box.value[at] === '\n' ? added : `${added}\n`, at, at, caret);
    this.#givenBack += added;
    fitToText();
  }

  #submit() {
    const text = box.value.trim();
    box.focus();
    if (text === '' || !this.#on.sendText(text)) return;
    box.value = '';
    this.#givenBack = '';
    // The server knows that who has said it writes no more.
    this.#isTyping = false;
    fitToText();
  }

  #tellTyping(isTyping) {
    const now = performance.now();
    const isDue = isTyping && now - this.#toldTypingAt >= TELL_EVERY_MS;
    if (isTyping === this.#isTyping && !isDue) return;
    this.#isTyping = isTyping;
    this.#toldTypingAt = now;
    this.#on.sendTyping(isTyping);
  }
}

/** Makes the box as high as its text. Meanwhile the form keeps its height, so that the messages do not move. */
function fitToText() {
  form.style.minHeight = `${form.offsetHeight}px`;
  box.style.height = 'auto';
  box.style.height = `${box.scrollHeight}px`;
  form.style.minHeight = '';
}
