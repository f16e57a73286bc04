package posture

// Live is what was seen on the running machine: sockets, firewall, containers, and whether the gateway answers
// without a token.
type Live struct{}
