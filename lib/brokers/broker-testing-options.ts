import type { Broker, BrokerSettings } from '../topics/broker.ts';

/** A broker as one process would have it, for the suite. */
export interface TestedBroker {
  /** Not open yet. */
  readonly broker: Broker;
  /**
   * Cuts this broker off from what it shares with the others, as when a cable is cut, until `reconnect`. It may cut off the others
   * too. Without both of them, the tests of a connection that is lost are skipped.
   */
  readonly disconnect?: () => unknown;
  readonly reconnect?: () => unknown;
  /** Ends what was made for it, such as a client, once it is closed. */
  readonly end?: () => unknown;
}

/** What the suite is to test. */
export interface BrokerTestOptions {
  /** What it is called in the names of the tests. */
  readonly name: string;
  /**
   * Makes a broker. All of them share what is behind them, such as a server, as the processes of one application do; those of
   * one test have the same settings, with which the suite opens them.
   */
  readonly makeBroker: (settings: BrokerSettings) => TestedBroker | Promise<TestedBroker>;
  /** Has what is behind the brokers lose all it keeps, where that can happen. Without it that test is skipped. */
  readonly loseData?: () => unknown;
  /** How large a message may be, in bytes. 1 MiB unless set. */
  readonly maxMessageBytes?: number;
  /** For how long a test waits for one thing, in milliseconds, before it fails. 10,000 unless set. */
  readonly patienceMs?: number;
}
