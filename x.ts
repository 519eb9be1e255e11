import { connect } from '@nats-io/transport-node';
import { NatsBroker } from './lib/brokers/nats.ts';
const T = { checkMs: 100, answerMs: 2000 };
const mk = async () => { const connection = await connect({ port: 14777 }); const b = new NatsBroker({ connection, jetstream: true, prefix: 'dbg' }, T); return [b, connection] as const; };
const [a, ca] = await mk(); const [b] = await mk();
const raw: string[] = [];
let round = 0, bad = 0, last = 0;
const ev = (name: string) => ({ message(t: string, e: string, m: any) { if (name === 'b') { if (m.previous > last) { bad++; console.log('round', round, 'offset', m.offset, 'previous', m.previous, 'last', last, raw.slice(-6)); } last = m.offset; } }, signal() {}, up() { console.log('up'); }, down(e: any) { console.log('down', e); } });
await a.open(ev('a'), { historyMessages: 0, historyMs: 0 });
await b.open(ev('b'), { historyMessages: 0, historyMs: 0 });
ca.subscribe('dbg.topic.>', { callback: (e, m) => { raw.push(m.subject + ' ' + m.headers?.get('Nats-Sequence') + ' ' + m.headers?.get('Nats-Last-Sequence')); } });
for (; round < 30; round++) {
  const t = 't' + round; last = (await b.subscribe(t)).offset; await a.subscribe(t);
  await Promise.all(Array.from({ length: 100 }, (_, i) => [a.publish(t, Buffer.from('a' + i), undefined), b.publish(t, Buffer.from('b' + i), undefined)]).flat());
}
console.log({ bad });
process.exit();
