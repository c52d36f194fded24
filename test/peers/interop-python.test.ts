/** hyper-h2 in both roles: it leaves everything but the protocol to its user, so both ends are pushed to their corners. */
import { pythonPeer } from '../helpers/interop-peer.ts';
import { clientVectors, serverVectors } from '../helpers/interop-vectors.ts';

const ends = 'h2 ends a connection at GOAWAY';
const peer = pythonPeer({ 'client goaway': ends, 'server shutdown': ends });
clientVectors(peer);
serverVectors(peer);
