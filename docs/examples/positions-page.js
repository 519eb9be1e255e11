/**
 * For a page: follows a topic, over as many connections as it takes.
 *
 * @param {string} url of the WebSocket
 * @param {(body: string | Uint8Array) => void} onMessage is given each message, in order, once
 * @param {() => void} onStart shows anew what there is: at the beginning, and where messages were missed
 */
export function follow(url, onMessage, onStart) {
  let socket;
  let position;
  let attempts = 0;

  function receive(head, body) {
    const isStart = head[0] === '!' || (head[0] === '=' && position === undefined);
    if (head !== '') position = head.replace(/^[=!]/, '');
    if (isStart) onStart();
    else if (head[0] !== '=') onMessage(body);
  }

  function connect() {
    const target = new URL(url, location.href.replace(/^http/, 'ws'));
    if (position !== undefined) target.searchParams.set('after', position);
    socket = new WebSocket(target, 'positions.hyperlane');
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }) => {
      attempts = 0;
      const all = typeof data === 'string' ? data : new Uint8Array(data);
      const end = all.indexOf(typeof all === 'string' ? '\n' : 10);
      const head = all.slice(0, end);
      receive(typeof head === 'string' ? head : String.fromCharCode(...head), all.slice(end + 1));
    };
    // At a time of its own, or all pages come back at once.
    socket.onclose = () => setTimeout(connect, Math.random() * Math.min(30_000, 500 * 2 ** attempts++));
  }

  connect();
  return (body) => socket.send(body);
}
