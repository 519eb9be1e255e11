/**
 * For a page: a WebSocket that comes back, and goes on where it was.
 *
 * The server speaks the subprotocol `positions.hyperlane`: each message is its position, a line break, and its body.
 */
// #region connect
export function listen(url, show) {
  let after = '';
  let attempts = 0;

  function connect() {
    const socket = new WebSocket(after === '' ? url : `${url}?after=${after}`, 'positions.hyperlane');
    socket.onmessage = ({ data }) => {
      const end = data.indexOf('\n');
      const [kind] = data;
      attempts = 0;
      after = kind === '=' || kind === '!' ? data.slice(1, end) : data.slice(0, end);
      if (kind === '!') show.gap();
      else if (kind !== '=') show.message(data.slice(end + 1));
    };
    socket.onclose = ({ code }) => {
      // It was told to stay away.
      if (code === 1008 || code >= 4000) return;
      const longest = Math.min(15_000, 1000 * 2 ** attempts++);
      setTimeout(connect, longest * Math.random());
    };
  }

  connect();
}
// #endregion connect
