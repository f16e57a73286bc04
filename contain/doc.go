// Package contain stops the agent and closes the host, and takes that back.
//
// It freezes first: the gateway and everything it started stop acting within milliseconds, nothing is lost, and thawing undoes it.
// What stopping would lose is sealed by the caller meanwhile. Then supervisors are told to stay down and what is frozen is
// killed, without being thawed and never with SIGTERM, on which a busy gateway goes on executing for minutes. The firewall
// is closed but for the responder's own way in. Each step is verified by looking.
//
// Every change is written to the case's contain.json before it is made. It runs no OpenClaw code and no shell, and programs only
// if root alone could have written them. It never starts a gateway unless [Containment.Start] is called.
package contain
