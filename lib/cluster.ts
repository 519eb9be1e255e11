/// <reference types="node" preserve="true" />
export { type ClusterBrokerOptions, clusterBroker } from './brokers/cluster.ts';
export {
  type ClusterPrimary,
  type ClusterPrimaryOptions,
  type ClusterPrimaryStats,
  setUpPrimary,
} from './brokers/cluster-primary.ts';
