import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server as HttpServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Server } from '../../lib/server/server.ts';
import { cleanUp, onCleanUp } from '../support/clean-up.ts';
import { FRAMEWORKS, skipWithoutFrameworks } from '../support/external.ts';
import { makeServer } from '../support/running-server.ts';
import { upgradeRequest, WsClient } from '../support/ws-client.ts';
import { PATIENCE } from './framework-app.ts';

const OPTIONS = { ...PATIENCE, ...skipWithoutFrameworks() };
const { resolve } = createRequire(join(FRAMEWORKS, 'package.json'));

// biome-ignore lint/suspicious/noExplicitAny: their types are not there where they are not installed.
const load = async (name: string): Promise<any> => import(pathToFileURL(resolve(name)).href);

afterEach(cleanUp);

describe('attach, to what is not the server of a framework', OPTIONS, () => {
  const mistakes: [what: string, make: () => Promise<unknown>, advice: RegExp][] = [
    ['Express', async () => (await load('express')).default(), /an Express application: give what app\.listen\(\)/],
    ['Fastify', async () => (await load('fastify')).default(), /a Fastify instance: give fastify\.server/],
    ['Hono', async () => new (await load('hono')).Hono(), /a Hono application: give what serve\(\)/],
    ['Koa', async () => new (await load('koa')).default(), /a Koa application: give what app\.listen\(\)/],
    ['Socket.IO', async () => new (await load('socket.io')).Server(), /a Server of Socket\.IO: give its httpServer/],
    ['Next', async () => (await load('next')).default({ dev: true }), /a Next application: give the server that/],
    [
      'Nest',
      async () => {
        const { NestFactory } = await load('@nestjs/core');
        return NestFactory.create(class {}, { logger: false });
      },
      /a Nest application: give app\.getHttpServer\(\)/,
    ],
    [
      'Vite',
      async () => {
        const vite = await (await load('vite')).createServer({
          configFile: false,
          server: { middlewareMode: true, ws: false },
        });
        onCleanUp(() => vite.close());
        return vite;
      },
      /Vite's dev server: give its httpServer/,
    ],
  ];
  for (const [what, make, advice] of mistakes) {
    it(`says what it is, and what to give: ${what}`, async () => {
      const thing = (await make()) as HttpServer;
      assert.throws(() => new Server().attach(thing), { name: 'TypeError', message: advice });
    });
  }

  it('says that it is not made yet, in the constructor of a class of Nest', async () => {
    await load('reflect-metadata');
    const { NestFactory, HttpAdapterHost } = await load('@nestjs/core');
    const { Inject, Module } = await load('@nestjs/common');
    let error: unknown;
    class AppModule {
      constructor(host: { httpAdapter: { getHttpServer(): HttpServer } }) {
        try {
          new Server().attach(host.httpAdapter.getHttpServer());
        } catch (thrown) {
          error = thrown;
        }
      }
    }
    Inject(HttpAdapterHost)(AppModule, undefined, 0);
    Module({})(AppModule);
    await NestFactory.create(AppModule, { logger: false });
    assert.match(String(error), /TypeError: attach takes .* got undefined: .*Nest.*onModuleInit/);
  });
});

describe('attach, beside Socket.IO', OPTIONS, () => {
  it('shares the paths, and what nobody takes ends', async () => {
    const http = createServer();
    const { server } = makeServer();
    server.route('/mine', (ctx) => ctx.sendResponseBody('mine')).attach(http);
    const io = new (await load('socket.io')).Server(http);
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    const { port } = http.address() as AddressInfo;
    onCleanUp(() => http.closeAllConnections());
    onCleanUp(() => io.close());
    onCleanUp(() => server.close({ timeout: 0 }));

    const mine = await WsClient.open(port, '/mine');
    assert.equal(await mine.send('').receive(), 'mine');
    const theirs = await WsClient.open(port, '/socket.io/?EIO=4&transport=websocket');
    assert.match(String(await theirs.receive()), /^0\{"sid"/);
    const lost = await WsClient.connect(port);
    await lost.write(upgradeRequest('/typo')).waitForEnd();
    assert.equal(await mine.send('').receive(), 'mine');
  });
});
