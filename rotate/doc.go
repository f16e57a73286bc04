// Package rotate replaces the secrets an installation held as far as that can be done on its host, proves it, and lists in order
// those that only a person can replace.
//
// Files are changed in place with the rights of their owner, stores only while no gateway runs. A proof never starts a gateway
// on the installation's own state: see [VerifyContained]. No value is in any error, list or log; the caller shows the new
// ones once.
package rotate
