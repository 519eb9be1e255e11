const ws = new WebSocket('ws://localhost:60000/websocket');

ws.onopen = () => ws.send('Hello');

ws.onmessage = (event) => console.log('Received:', event.data);

ws.onclose = (event) => console.log('Closed:', event.code);
