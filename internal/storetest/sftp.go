package storetest

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// ServeSFTP runs a server that takes any key until the test ends, and whose answers are made by handlers. It returns where it listens,
// and the fingerprint of its key.
func ServeSFTP(t testing.TB, handlers sftp.Handlers) (addr, hostKey string) {
	t.Helper()
	return ServeSSH(t, &ssh.ServerConfig{}, func(offered ssh.NewChannel) {
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				_ = r.Reply(r.Type == "subsystem", nil)
			}
		}()
		go func() { _ = sftp.NewRequestServer(channel, handlers).Serve() }()
	})
}

// ServeSSH is ServeSFTP for a server that answers in its own way when a channel is opened. It gives config a key, and lets everybody in.
func ServeSSH(t testing.TB, config *ssh.ServerConfig, opened func(ssh.NewChannel)) (addr, hostKey string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	host, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	config.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }
	config.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	Accept(t, l, func(conn net.Conn) {
		_, channels, requests, err := ssh.NewServerConn(conn, config)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		for offered := range channels {
			opened(offered)
		}
	})
	return l.Addr().String(), ssh.FingerprintSHA256(host.PublicKey())
}

// Accept has each connection to a listener answered on its own, until the test ends or the listener is closed.
func Accept(t testing.TB, l net.Listener, answer func(net.Conn)) {
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
}
