package guide

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Certificate is a certificate of 127.0.0.1 and shop.example that this lab's browsers trust, and
// nobody else: its file and that of its key, both PEM. It is made at the first call.
func (l *Lab) Certificate() (certFile, keyFile string, err error) {
	l.mu.Lock()
	dir := l.certs
	l.mu.Unlock()
	if dir == "" {
		if dir, err = l.makeCertificate(); err != nil {
			return "", "", err
		}
	}
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), nil
}

func (l *Lab) makeCertificate() (dir string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "seeother explain"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"shop.example"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	if dir, err = l.TempDir(); err != nil {
		return "", err
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return "", err
		}
	}
	return dir, l.trust(der, dir)
}

func (l *Lab) trust(der []byte, dir string) error {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rootsLocked().AddCert(cert)
	l.certs = dir
	return nil
}

// roots are whom this lab's browsers trust. Certificate adds its own.
func (l *Lab) roots() *x509.CertPool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rootsLocked()
}

func (l *Lab) rootsLocked() *x509.CertPool {
	if l.pool == nil {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		l.pool = pool
	}
	return l.pool
}
