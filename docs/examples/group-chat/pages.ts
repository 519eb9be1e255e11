import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { Context } from 'hyperlane-ws';

const FOLDER = join(import.meta.dirname, 'page');

const MEDIA_TYPES: ReadonlyMap<string, string> = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.css', 'text/css; charset=utf-8'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['.svg', 'image/svg+xml'],
]);

/** The files of the page by name. They are few and small, so they are read once. */
const FILES: ReadonlyMap<string, Buffer> = new Map(
  readdirSync(FOLDER).map((name) => [name, readFileSync(join(FOLDER, name))]),
);

/** The page runs its own scripts and styles only, and shows pictures that came over the WebSocket: nothing else. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

export function setPageHeaders(ctx: Context): void {
  ctx
    .setResponseHeader('Content-Security-Policy', CONTENT_SECURITY_POLICY)
    .setResponseHeader('X-Content-Type-Options', 'nosniff')
    .setResponseHeader('Referrer-Policy', 'no-referrer')
    .setResponseHeader('Cache-Control', 'no-cache');
}

export function serveIndex(ctx: Context): Promise<void> {
  return sendFile(ctx, 'index.html');
}

export function serveFile(ctx: Context): Promise<void> {
  return sendFile(ctx, ctx.getRouteParam('file') ?? '');
}

async function sendFile(ctx: Context, name: string): Promise<void> {
  const bytes = FILES.get(name);
  const mediaType = MEDIA_TYPES.get(extname(name));
  if (bytes === undefined || mediaType === undefined) return ctx.sendResponse(404, 'there is no such file');
  ctx.setResponseHeader('Content-Type', mediaType);
  return ctx.sendResponse(200, bytes);
}
