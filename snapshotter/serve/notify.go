package serve

import (
	"net"
	"os"
)

// notify sends the state of a service, "READY=1" or "STOPPING=1", to systemd as
// sd_notify(3) describes: one datagram to the socket that the environment names. It
// does nothing if the environment names none.
func notify(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(state))
	return err
}
