package dockerfile

import (
	"io"
	"time"

	"github.com/mullion/mullion/image"
	"github.com/mullion/mullion/layer"
	"github.com/opencontainers/go-digest"
)

// Options describe a build. Dockerfile, Context and Output are required.
type Options struct {
	// Dockerfile is the text, of at most 1 MiB, and Name what errors call it: "Dockerfile".
	Dockerfile io.Reader
	Name       string
	// Context is the directory with the files that COPY and ADD read; nothing outside of it is
	// read. Its .dockerignore applies, or Ignore if that is set, which has the same form.
	Context string
	Ignore  io.Reader
	// Contexts are further contexts, by the name that FROM and COPY --from use. A name that
	// is also the name of a stage or an image replaces that.
	Contexts map[string]Context
	// Args are the values of ARG instructions, by name.
	Args map[string]string
	// Target names the stage to build, or has its number. "" is the last one.
	Target string
	// Platform chooses base images, and is the platform of an image from scratch. The zero
	// value is Windows, of any version and architecture.
	Platform image.Platform
	Labels   map[string]string
	// Output is the reference that is written.
	Output string
	// Epoch is the time of the image and of directories that instructions make, and bounds
	// the times of files. If it is zero, the image and the directories have the time of the
	// base image, and files keep their own.
	Epoch time.Time
	// Image are the options for reading and writing images: cache, limits, transports.
	Image []image.Option
	// Limits bound what ADD unpacks, and the layers that are made.
	Limits layer.Limits
	// Replace lets the image replace an archive that exists.
	Replace bool
	// Warn receives remarks, and Progress each step when it begins. Both may be nil.
	Warn     func(Warning)
	Progress func(Step)
}

// Context is a build context besides the main one. One of Dir and Image is set.
type Context struct {
	Dir   string // a directory; its .dockerignore applies
	Image string // an image reference
}

// Step is an instruction that is carried out, or a layer that is written.
type Step struct {
	Stage       string // name of the stage, or its number: "stage-0"
	Index       int    // of the instruction in the stage, from 1; 0 is FROM
	Total       int    // instructions of the stage
	Instruction string // its first line, with ONBUILD before it if a base image brought it
}

// Result is the image that was built.
type Result struct {
	image.Copied
	Config digest.Digest // of the configuration, which Docker calls the image ID
	// Layers are the layers that the build has added to those of the base image, in order.
	Layers []Layer
	Base   int // layers of the base image
}

// Layer is a layer that an instruction has made.
type Layer struct {
	Instruction string
	Line        int
	DiffID      digest.Digest
	Digest      digest.Digest
	Size        int64 // bytes as stored
}
