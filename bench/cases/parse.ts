import { BINARY, TEXT } from '../e2e/frames.ts';
import { type CodecCase, type Env, SIZES, type Subject, sizeName, sizeTitle, type Work } from './case.ts';
import { CHUNKINGS, type Chunking, type FrameStream, makeFragmentedStream, makeStream } from './stream.ts';
import { type Ws, wsSubjects } from './ws.ts';

type Parser = typeof import('../../lib/codec/frame-parser.ts');
type MaskSimd = typeof import('../../lib/codec/mask-simd.ts');
type ProtocolModule = typeof import('../../lib/protocol/protocol.ts');

const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const LIMITS = { maxMessageBytes: MAX_MESSAGE_BYTES, maxFrameBytes: MAX_MESSAGE_BYTES };

/**
 * What a read is to us: bytes in the one receive buffer. That the bytes are copied there is what the kernel does in a
 * real read, and is part of the measure for all.
 */
async function makeRead({ lib }: Env, { bytes }: FrameStream): Promise<(start: number, end: number) => Buffer> {
  const { receiveBuffer } = await lib<MaskSimd>('codec/mask-simd.js');
  return (start, end) => {
    if (end - start === 1) receiveBuffer[0] = bytes[start]!;
    else bytes.copy(receiveBuffer, 0, start, end);
    return receiveBuffer;
  };
}

/** Frames as events over the receive buffer: nothing is copied or made. */
async function events(env: Env, stream: FrameStream): Promise<Work> {
  const { FrameParser } = await env.lib<Parser>('codec/frame-parser.js');
  const read = await makeRead(env, stream);
  let sum = 0;
  const sink = {
    onFrame: (_bits: number, _bytes: Buffer, start: number, end: number) => {
      sum += end - start + 1;
    },
    onFramePiece: (_bits: number, _bytes: Buffer, start: number, end: number) => {
      sum += end - start;
    },
    onFrameError: (code: string) => {
      throw new Error(code);
    },
  };
  const rules = { expectMask: true, allowRsv1: false, maxFrameBytes: MAX_MESSAGE_BYTES };
  const parser = new FrameParser(sink, rules);
  return repeat(
    stream,
    (start, end) => parser.push(read(start, end), 0, end - start),
    () => sum,
  );
}

/** Messages as strings and buffers that are the receiver's own. */
async function messages(env: Env, stream: FrameStream): Promise<Work> {
  const { Protocol } = await env.lib<ProtocolModule>('protocol/protocol.js');
  const read = await makeRead(env, stream);
  let sum = 0;
  const nothing = (): void => {};
  const owner = {
    onMessage: (data: string | Buffer) => {
      sum += data.length + 1;
    },
    onPing: nothing,
    onPong: nothing,
    onOutput: nothing,
    onFinished: nothing,
    onProtocolError: (error: Error) => {
      throw error;
    },
  };
  const protocol = new Protocol('server', owner, LIMITS);
  return repeat(
    stream,
    (start, end) => protocol.receiveData(read(start, end), 0, end - start),
    () => sum,
  );
}

function wsMessages({ peer }: Env, stream: FrameStream): Work {
  const { Receiver } = peer<Ws>('ws');
  const receiver = new Receiver({ isServer: true, maxPayload: MAX_MESSAGE_BYTES });
  let sum = 0;
  receiver.on('message', (data, isBinary) => {
    // Text comes as bytes; whoever uses it makes a string of it.
    sum += isBinary ? data.length : data.toString().length;
  });
  receiver.on('error', (error) => {
    throw error;
  });
  const { bytes } = stream;
  return repeat(
    stream,
    (start, end) => {
      // As a socket does on 'data': each read has memory of its own, which messages may be views of.
      const chunk = Buffer.allocUnsafeSlow(end - start);
      if (end - start === 1) chunk[0] = bytes[start]!;
      else bytes.copy(chunk, 0, start, end);
      receiver.write(chunk);
    },
    () => sum,
  );
}

/** Goes through the stream again and again; an operation is a message. */
function repeat(stream: FrameStream, read: (start: number, end: number) => void, result: () => number): Work {
  const { reads, messages: perRun } = stream;
  return (count) => {
    for (let done = 0; done < count; done += perRun) {
      for (const [start, end] of reads) read(start, end);
    }
    return result();
  };
}

function subjectsOf(stream: () => FrameStream): Subject[] {
  return [
    { name: 'hyperlane', prepare: (env) => messages(env, stream()) },
    { name: 'hyperlane events', prepare: (env) => events(env, stream()) },
    ...wsSubjects((env) => wsMessages(env, stream())),
  ];
}

function binary(bytes: number, chunking: Chunking): CodecCase {
  return {
    name: `parse-${sizeName(bytes)}-${chunking}`,
    title: `parse ${sizeTitle(bytes)}, ${CHUNKINGS[chunking]}`,
    bytes,
    subjects: subjectsOf(() => makeStream(BINARY, bytes, chunking)),
  };
}

/** What the parser alone costs: to be held against those that hand over messages, since they have nothing less to offer. */
function eventsOnly(bytes: number): CodecCase {
  const stream = (): FrameStream => makeStream(BINARY, bytes, '64k');
  return {
    name: `events-${sizeName(bytes)}`,
    title: `parse ${sizeTitle(bytes)} into events, nothing copied, ${CHUNKINGS['64k']}`,
    bytes,
    subjects: [
      { name: 'hyperlane', prepare: (env) => events(env, stream()) },
      ...wsSubjects((env) => wsMessages(env, stream())),
    ],
  };
}

function text(bytes: number): CodecCase {
  return {
    name: `parse-text-${sizeName(bytes)}`,
    title: `parse ${sizeTitle(bytes)} of text, ${CHUNKINGS['64k']}`,
    bytes,
    subjects: subjectsOf(() => makeStream(TEXT, bytes, '64k')),
  };
}

function assemble(fragmentBytes: number, fragments: number): CodecCase {
  return {
    name: `assemble-${fragments}x${sizeName(fragmentBytes)}`,
    title: `assemble a message of ${fragments} fragments of ${sizeTitle(fragmentBytes)}`,
    bytes: fragments * fragmentBytes,
    subjects: subjectsOf(() => makeFragmentedStream(BINARY, fragmentBytes, fragments)),
  };
}

const chunkings = Object.keys(CHUNKINGS) as Chunking[];
/** A mebibyte byte by byte shows nothing that 64 KiB do not. */
const isWorthwhile = (bytes: number, chunking: Chunking): boolean => chunking !== 'byte' || bytes <= 64 * 1024;

export const parseCases: readonly CodecCase[] = [
  ...SIZES.flatMap((bytes) =>
    chunkings.filter((chunking) => isWorthwhile(bytes, chunking)).map((chunking) => binary(bytes, chunking)),
  ),
  ...[20, 125, 1024, 16 * 1024].map(eventsOnly),
  ...[20, 125, 1024, 16 * 1024].map(text),
  assemble(20, 16),
  assemble(1024, 16),
];
