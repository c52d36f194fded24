/** Node's own http2 in both roles, as a process of its own. Its corners within one process: test/unit/h2/node-http2.test.ts. */
import { nodePeer } from '../helpers/interop-peer.ts';
import { clientVectors, serverVectors } from '../helpers/interop-vectors.ts';

const peer = nodePeer({
	'client goaway': 'a session of Node stays with its connection',
});
clientVectors(peer);
serverVectors(peer);
