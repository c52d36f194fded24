/** The configuration that `slime hub init` writes. config.example.yaml has every key; here are those that a new hub may want soon. */

/** Names of files beside it, which it points to. */
export const INIT_FILES = {
	config: 'hub.yaml',
	secret: 'secret',
	appPassword: 'app-password',
	token: 'token',
	state: 'state',
} as const;

export const HUB_TEMPLATE = `# Configuration of a Slime hub: slime hub run --config ${INIT_FILES.config}
#
# What is commented out shows the default, or an example where there is none. slime hub check --config ${INIT_FILES.config} says what is
# wrong. Paths are relative to this file. Durations: 250ms, 30s, 1h30m. Sizes: 64KiB, 256MiB.

hub:
  # Signs and verifies agents' tokens. Keep it: without it every agent needs a new token.
  secretFile: ${INIT_FILES.secret}
  # What applications must present, as an API key or as Slime-App-Password.
  appPasswordFile: ${INIT_FILES.appPassword}
  # What must survive a restart, such as revoked tokens.
  stateDir: ${INIT_FILES.state}

  # Where applications and agents connect to. The host 127.0.0.1 is for a hub behind a proxy on this machine.
  #host: 0.0.0.0
  #port: 8080

  # TLS on that port: a certificate chain and its key, PEM files that are read again when they change.
  #tlsCert: certs/hub.crt
  #tlsKey: certs/hub.key
  # With it agents must bring a certificate that this authority signed; slime certs makes some for development.
  #clientCa: certs/ca.crt
  # Whether that certificate must be for the name of the agent's token.
  #bindIdentity: false

  # A port for agents alone.
  #agentPort: 8443

  # The admin listener: /healthz, /readyz, and /api for slime status and slime hub revoke. adminPort: off opens none.
  #adminHost: 127.0.0.1
  #adminPort: 8081
  # What /metrics and /api want as Bearer; needed for them if adminHost is not on loopback.
  #adminTokenFile: admin-token

  # Most requests at work at a time; 0 is no limit.
  #concurrent: 0
  queue:
    # Which requests wait for a worker: header, those that say Slime-Block; always, all but Slime-Block: 0.
    #mode: header
    # Most requests that may wait, and how long.
    max: 1024
    #timeout: 300s
    #maxBytes: 256MiB
  # From a request's dispatch to the first byte of its response.
  #firstByteTimeout: 600s
  # How long requests in progress may take to finish when the hub stops.
  #drainTimeout: 30s

  # Most connections at a time, and of one address; 0 is no limit.
  #maxConnections: 10000
  #maxConnectionsPerAddress: 0

log:
  # trace, debug, info, warn, error or silent
  level: info
`;
