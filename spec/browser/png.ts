import { randomBytes } from 'node:crypto';
import { crc32, deflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
const RGB = 2;

/** A landscape at dusk, as a PNG: something to look at in a chat. */
export function landscape(width: number, height: number): Buffer {
  return png(width, height, (x, y) => colourAt(x / width, y / height));
}

/** A PNG that cannot be compressed: about three bytes a pixel. */
export function noise(width: number, height: number): Buffer {
  const bytes = randomBytes(width * height * 3);
  return png(width, height, (x, y) => bytes.subarray((y * width + x) * 3, (y * width + x) * 3 + 3));
}

function png(width: number, height: number, colour: (x: number, y: number) => ArrayLike<number>): Buffer {
  const stride = 1 + width * 3;
  const rows = Buffer.alloc(height * stride);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) rows.set(colour(x, y), y * stride + 1 + x * 3);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, RGB], 8);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function colourAt(x: number, y: number): readonly [number, number, number] {
  const sun = Math.hypot((x - 0.68) * 1.6, y - 0.4) < 0.1;
  const far = 0.56 + 0.07 * Math.sin(x * 7) + 0.03 * Math.sin(x * 17 + 1);
  const near = 0.74 + 0.06 * Math.sin(x * 5 + 2) + 0.02 * Math.sin(x * 23);
  if (y > near) return [38, 40, 78];
  if (y > far) return [84, 72, 132];
  if (sun) return [255, 226, 168];
  return [96 + 150 * y * 1.2, 110 + 60 * y, 190 - 60 * y].map(Math.round) as [number, number, number];
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  framed.set(body, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}
