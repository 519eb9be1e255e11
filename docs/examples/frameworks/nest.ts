/**
 * Nest 11 with express-session and a gateway: who is logged in there is known to every message.
 *
 *     npm ci --prefix docs/examples/frameworks
 *     npx tsx --tsconfig docs/examples/frameworks/tsconfig.json docs/examples/frameworks/nest.ts
 */
// #region nest
import 'reflect-metadata';
import { ServerResponse } from 'node:http';
import { Body, Controller, Get, Module, Post, Session } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway, WebSocketServer } from '@nestjs/websockets';
import type { Request, Response } from 'express';
import session from 'express-session';
import { Server } from 'hyperlane-ws';
import { type Client, type GatewayServer, HyperlaneAdapter } from './nest-adapter.ts';

declare module 'express-session' {
  interface SessionData {
    user: string;
  }
}

@WebSocketGateway({ path: '/websocket' })
class ChatGateway {
  @WebSocketServer()
  gateway!: GatewayServer;

  handleConnection(client: Client): void {
    client.emit('welcome', client.get<string>('user'));
  }

  @SubscribeMessage('say')
  say(@ConnectedSocket() client: Client, @MessageBody() text: string): { event: string; data: string } {
    this.gateway.emit('said', `${client.get('user')}: ${text}`);
    return { event: 'heard', data: text };
  }
}

@Controller()
class AppController {
  @Post('login')
  login(@Session() session: { user?: string }, @Body() body: { user: string }): { user: string } {
    session.user = String(body.user);
    return { user: session.user };
  }

  @Get()
  index(): string {
    return 'from Nest';
  }
}

@Module({ controllers: [AppController], providers: [ChatGateway] })
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
const withSession = session({ secret: 'change this', resave: false, saveUninitialized: false });
app.use(withSession);

const server = new Server();
server.upgradeMiddleware(async (ctx) => {
  const request = ctx.getHttpRequest() as Request;
  const response = new ServerResponse(request) as Response;
  await new Promise<void>((resolve, reject) => {
    withSession(request, response, (error?: unknown) => (error === undefined ? resolve() : reject(error)));
  });
  const { user } = request.session;
  if (user === undefined) await ctx.sendResponse(401, 'log in first');
  else ctx.setAttribute('user', user);
});
app.useWebSocketAdapter(new HyperlaneAdapter(app, server));

app.enableShutdownHooks();
await app.listen(Number(process.env.PORT ?? 3000));
console.log('listening on', app.getHttpServer().address());
// #endregion nest
