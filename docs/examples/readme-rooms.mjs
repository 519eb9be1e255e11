import { Server } from 'hyperlane-ws';

const server = new Server({ topics: { historyMessages: 100 } });
const roomOf = (ctx) => `room/${ctx.getRouteParam('name')}`;

server.onWebsocketConnected((ctx) => ctx.subscribe(roomOf(ctx), { after: ctx.getRequestQuery('after') }));

server.route('/room/:name', (ctx) => ctx.publish(roomOf(ctx), ctx.getRequestBody()));

await server.port(Number(process.env.PORT ?? 60000)).run();
console.log(`http://localhost:${server.address().port}/`);
