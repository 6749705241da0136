package inventory

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1" // the digests of signatures
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A signature of Authenticode is the SignedData of PKCS #7 (RFC 2315) that signs a structure
// of Microsoft's: the digest of a PE file ("Windows Authenticode Portable Executable Signature
// Format"), or the list of digests of a catalog.

// Object identifiers.
var (
	oidSignedData       = oidOf(1, 2, 840, 113549, 1, 7, 2)
	oidMessageDigest    = oidOf(1, 2, 840, 113549, 1, 9, 4)
	oidSigningTime      = oidOf(1, 2, 840, 113549, 1, 9, 5)
	oidCounterSignature = oidOf(1, 2, 840, 113549, 1, 9, 6)
	oidTimestamp        = oidOf(1, 3, 6, 1, 4, 1, 311, 3, 3, 1) // holds a token of RFC 3161
	oidTSTInfo          = oidOf(1, 2, 840, 113549, 1, 9, 16, 1, 4)
	oidIndirectData     = oidOf(1, 3, 6, 1, 4, 1, 311, 2, 1, 4)
	oidTrustList        = oidOf(1, 3, 6, 1, 4, 1, 311, 10, 1)
	oidRSAPSS           = oidOf(1, 2, 840, 113549, 1, 1, 10)
)

// digestNames are the digests of signatures, by object identifier.
var digestNames = map[string]crypto.Hash{
	oidOf(1, 3, 14, 3, 2, 26):             crypto.SHA1,
	oidOf(2, 16, 840, 1, 101, 3, 4, 2, 1): crypto.SHA256,
	oidOf(2, 16, 840, 1, 101, 3, 4, 2, 2): crypto.SHA384,
	oidOf(2, 16, 840, 1, 101, 3, 4, 2, 3): crypto.SHA512,
}

// maxSigners bounds the work for one signature.
const (
	maxSigners = 4
	maxCerts   = 64
	maxCert    = 16 << 10 // bytes of the certificate that signs
	maxRSABits = 8192
	maxAttrs   = 64
)

// signature is what a signature says, and what of it was checked. That its certificates
// are trusted is never checked.
type signature struct {
	signer, issuer string    // of the certificate that signs
	time           time.Time // of a countersignature or time stamp, as it states; zero without
	fault          string    // why the signature does not sign its content; "" if it does
}

// signedData is a SignedData whose signature has not been checked.
type signedData struct {
	kind    []byte // of the content, an object identifier
	content []byte // without tag and length, of which the digest is made
	certs   []byte
	signers derReader
}

// readSignedData reads a ContentInfo with a SignedData.
func readSignedData(b []byte) (s signedData, err error) {
	outer := derReader{rest: b}
	info := outer.in(derSequence)
	if id := info.oid(); info.err == nil && string(id) != oidSignedData {
		return s, fmt.Errorf("it has the type %s, not that of signed data", oidText(id))
	}
	explicit := info.in(derContext)
	data := explicit.in(derSequence)
	data.take(derInteger)
	data.take(derSet)
	of := data.in(derSequence)
	s.kind = of.oid()
	if wrapped, ok := of.optional(derContext); ok {
		inner := derReader{rest: wrapped}
		_, s.content, _ = inner.next()
		of.err = cmp.Or(of.err, inner.err)
	}
	s.certs, _ = data.optional(derContext)
	data.optional(derContext + 1)
	s.signers = data.in(derSet)
	return s, cmp.Or(of.err, s.signers.err)
}

// signerInfo is a SignerInfo.
type signerInfo struct {
	issuer, serial []byte
	digest         []byte
	attrs          []byte // content of the signed attributes, nil for none
	algorithm      []byte
	signature      []byte
	unsignedAttrs  []byte
	hasSignedAttrs bool
}

// readSigner reads the next SignerInfo. One error is reported: a reader takes over that of the
// reader it is in.
func readSigner(r *derReader) (s signerInfo, err error) {
	in := r.in(derSequence)
	in.take(derInteger)
	name := in.in(derSequence)
	_, _, s.issuer = name.next()
	s.serial = name.take(derInteger)
	alg := in.in(derSequence)
	s.digest = alg.oid()
	s.attrs, s.hasSignedAttrs = in.optional(derContext)
	enc := in.in(derSequence)
	s.algorithm = enc.oid()
	s.signature = in.take(derOctets)
	s.unsignedAttrs, _ = in.optional(derContext + 1)
	return s, cmp.Or(in.err, name.err, alg.err, enc.err)
}

// cmsAttribute returns the content of the set of values of an attribute, nil without it.
func cmsAttribute(attrs []byte, id string) []byte {
	r := derReader{rest: attrs}
	for n := 0; len(r.rest) > 0 && n < maxAttrs; n++ {
		a := r.in(derSequence)
		got := a.oid()
		set := a.take(derSet)
		if a.err != nil {
			return nil
		}
		if string(got) == id {
			return set
		}
	}
	return nil
}

// verify looks at the first signer of a SignedData. The error is that of one that cannot
// be read; one that signs something else has a fault.
func (s *signedData) verify() (sig signature, err error) {
	if s.content == nil {
		return sig, errors.New("it has no content")
	}
	r := s.signers
	info, err := readSigner(&r)
	if err != nil {
		return sig, err
	}
	sig.time = info.time()
	cert, err := s.certificate(info)
	if err != nil {
		return sig, err
	}
	sig.signer, sig.issuer = commonName(cert.Subject.CommonName, cert.Subject.String()), commonName(cert.Issuer.CommonName, cert.Issuer.String())
	if err := s.check(info, cert); err != nil {
		sig.fault = err.Error()
	}
	return sig, nil
}

func commonName(name, otherwise string) string {
	if name == "" {
		name = otherwise
	}
	return cutText(name)
}

// certificate finds the certificate of a signer.
func (s *signedData) certificate(info signerInfo) (*x509.Certificate, error) {
	r := derReader{rest: s.certs}
	for n := 0; len(r.rest) > 0 && n < maxCerts; n++ {
		_, content, full := r.next()
		if r.err != nil {
			return nil, r.err
		}
		outer := derReader{rest: content}
		tbs := outer.in(derSequence)
		tbs.optional(derContext)
		serial := tbs.take(derInteger)
		tbs.take(derSequence)
		_, _, issuer := tbs.next()
		if tbs.err != nil || !bytes.Equal(serial, info.serial) || !bytes.Equal(issuer, info.issuer) {
			continue
		}
		if len(full) > maxCert {
			return nil, fmt.Errorf("the certificate of its signer has %d bytes: %w", len(full), errTooLarge)
		}
		return x509.ParseCertificate(full)
	}
	return nil, errors.New("it lacks the certificate of its signer")
}

// check verifies the digest of the content and the signature of the signer.
func (s *signedData) check(info signerInfo, cert *x509.Certificate) error {
	digest, ok := digestNames[string(info.digest)]
	if !ok {
		return fmt.Errorf("unknown digest %s", oidText(info.digest))
	}
	signed := s.content
	if info.hasSignedAttrs {
		h := digest.New()
		h.Write(s.content)
		value := derReader{rest: cmsAttribute(info.attrs, oidMessageDigest)}
		if want := value.take(derOctets); value.err != nil || !bytes.Equal(want, h.Sum(nil)) {
			return errors.New("it signs another content")
		}
		// The attributes are signed as a SET, whatever the tag in the structure.
		signed = append(derHead(derSet, len(info.attrs)), info.attrs...)
	}
	alg := x509.UnknownSignatureAlgorithm
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() > maxRSABits {
			return fmt.Errorf("the key has %d bits, more than %d", key.N.BitLen(), maxRSABits)
		}
		alg = rsaAlgorithms[string(info.algorithm) == oidRSAPSS][digest]
	case *ecdsa.PublicKey:
		alg = ecdsaAlgorithms[digest]
	}
	if alg == x509.UnknownSignatureAlgorithm {
		return fmt.Errorf("unknown algorithm %s with digest %v and key %v", oidText(info.algorithm), digest, cert.PublicKeyAlgorithm)
	}
	if err := cert.CheckSignature(alg, signed, info.signature); err != nil {
		return errors.New("the signature is not that of its certificate's key")
	}
	return nil
}

var rsaAlgorithms = map[bool]map[crypto.Hash]x509.SignatureAlgorithm{
	false: {crypto.SHA1: x509.SHA1WithRSA, crypto.SHA256: x509.SHA256WithRSA, crypto.SHA384: x509.SHA384WithRSA, crypto.SHA512: x509.SHA512WithRSA},
	true:  {crypto.SHA256: x509.SHA256WithRSAPSS, crypto.SHA384: x509.SHA384WithRSAPSS, crypto.SHA512: x509.SHA512WithRSAPSS},
}

var ecdsaAlgorithms = map[crypto.Hash]x509.SignatureAlgorithm{
	crypto.SHA1: x509.ECDSAWithSHA1, crypto.SHA256: x509.ECDSAWithSHA256, crypto.SHA384: x509.ECDSAWithSHA384, crypto.SHA512: x509.ECDSAWithSHA512,
}

// derHead is the tag and length of a value with n bytes of content.
func derHead(tag byte, n int) []byte {
	switch {
	case n < 0x80:
		return []byte{tag, byte(n)}
	case n < 1<<8:
		return []byte{tag, 0x81, byte(n)}
	case n < 1<<16:
		return []byte{tag, 0x82, byte(n >> 8), byte(n)}
	}
	return []byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// time returns the time of a countersignature or of a time stamp, zero if there is none
// that can be read.
func (s *signerInfo) time() time.Time {
	if set := cmsAttribute(s.unsignedAttrs, oidCounterSignature); set != nil {
		counter, err := readSigner(&derReader{rest: set})
		at := derReader{rest: cmsAttribute(counter.attrs, oidSigningTime)}
		if t := at.time(); err == nil && at.err == nil {
			return t
		}
	}
	if set := cmsAttribute(s.unsignedAttrs, oidTimestamp); set != nil {
		token, err := readSignedData(set)
		if err != nil || string(token.kind) != oidTSTInfo {
			return time.Time{}
		}
		content := derReader{rest: token.content}
		info := content.in(derSequence)
		info.take(derInteger)
		info.oid()
		info.take(derSequence)
		info.take(derInteger)
		if t := info.time(); info.err == nil {
			return t
		}
	}
	return time.Time{}
}

// readDigest reads a DigestInfo.
func readDigest(r *derReader) (algorithm, sum []byte) {
	info := r.in(derSequence)
	alg := info.in(derSequence)
	algorithm, sum = alg.oid(), info.take(derOctets)
	if info.err != nil || alg.err != nil {
		r.fail()
	}
	return algorithm, sum
}

// readIndirectData reads a SpcIndirectDataContent: the digest of a file.
func readIndirectData(content []byte) (algorithm, sum []byte, err error) {
	r := derReader{rest: content}
	r.take(derSequence)
	algorithm, sum = readDigest(&r)
	return algorithm, sum, r.err
}

// embedded is the signature in a PE file.
type embedded struct {
	signature
	digest crypto.Hash // of the file, 0 if it is unknown
	sum    []byte      // that the file must have
}

// readEmbedded reads the first signature in a certificate table.
func readEmbedded(table []byte) (e embedded, err error) {
	const signedDataType = 2 // WIN_CERT_TYPE_PKCS_SIGNED_DATA
	for range maxSigners {
		if len(table) < 8 {
			break
		}
		n, typ := binary.LittleEndian.Uint32(table), binary.LittleEndian.Uint16(table[6:])
		if n < 8 || uint64(n) > uint64(len(table)) {
			return e, fmt.Errorf("an entry says %d bytes, of %d that are left", n, len(table))
		}
		if typ == signedDataType {
			return readPKCS7(table[8:n])
		}
		table = table[min((uint64(n)+7)&^7, uint64(len(table))):]
	}
	return e, errors.New("has no entry with a signature")
}

// readPKCS7 reads the signature of a file.
func readPKCS7(b []byte) (e embedded, err error) {
	data, err := readSignedData(b)
	if err != nil {
		return e, err
	}
	if e.signature, err = data.verify(); err != nil {
		return e, err
	}
	if string(data.kind) != oidIndirectData {
		return e, fmt.Errorf("it signs a content of type %s", oidText(data.kind))
	}
	algorithm, sum, err := readIndirectData(data.content)
	if err != nil {
		return e, err
	}
	e.digest, e.sum = digestNames[string(algorithm)], sum
	if e.digest == 0 && e.fault == "" {
		e.fault = "unknown digest " + oidText(algorithm)
	}
	return e, nil
}
