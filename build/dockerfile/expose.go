package dockerfile

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// maxPorts bounds the ports of all EXPOSE instructions together: a range is written as its
// members.
const maxPorts = 65536

// parsePort reads a port of EXPOSE, [[IP:]HOST:]FIRST[-LAST][/PROTOCOL], and returns the
// members PORT/PROTOCOL that Docker writes. The parts for a host have no meaning in an image;
// odd reports that there are some.
func parsePort(text string) (ports []string, odd bool, err error) {
	bad := func(why string) error { return fmt.Errorf("%w: port %q: %s", ErrSyntax, short(text, 100), why) }
	rest, host := text, ""
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		host, rest, odd = text[:i], text[i+1:], true
	}
	rest, protocol, named := strings.Cut(rest, "/")
	if !named || protocol == "" {
		protocol = "tcp"
	}
	switch strings.ToLower(protocol) {
	case "tcp", "udp", "sctp":
	default:
		return nil, odd, bad("the protocol is none of tcp, udp and sctp")
	}
	first, last, err := portRange(rest)
	if err != nil {
		return nil, odd, bad(err.Error())
	}
	if odd {
		ip := ""
		if i := strings.LastIndexByte(host, ':'); i >= 0 {
			ip, host = strings.Trim(host[:i], "[]"), host[i+1:]
		}
		if ip != "" && net.ParseIP(ip) == nil {
			return nil, odd, bad(ip + " is no IP address")
		}
		if host != "" {
			if _, _, err := portRange(host); err != nil {
				return nil, odd, bad(err.Error())
			}
		}
	}
	for n := first; n <= last; n++ {
		ports = append(ports, strconv.Itoa(n)+"/"+strings.ToLower(protocol))
	}
	return ports, odd, nil
}

func portRange(text string) (first, last int, err error) {
	a, b, ranged := strings.Cut(text, "-")
	if first, err = portNumber(a); err != nil || !ranged {
		return first, first, err
	}
	if last, err = portNumber(b); err == nil && last < first {
		err = fmt.Errorf("the range ends before it begins")
	}
	return first, last, err
}

func portNumber(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("want a number from 0 to 65535")
	}
	return int(n), nil
}
