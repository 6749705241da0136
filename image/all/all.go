// Package all links every transport of package image into a program. Importing it makes
// image.Open and image.Copy understand all kinds of references.
package all

import (
	_ "github.com/mullion/mullion/image/archive"    // oci-archive: and docker-archive:
	_ "github.com/mullion/mullion/image/containerd" // containerd:
	_ "github.com/mullion/mullion/image/layout"     // oci:
	_ "github.com/mullion/mullion/image/registry"   // docker://
)
