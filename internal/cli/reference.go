package cli

// referenceHelp explains the words for images and layers; many commands show it.
const referenceHelp = `IMAGE is one of
  oci:DIR[:TAG]               an OCI image layout in a directory
  oci-archive:FILE[:TAG]      an OCI image layout in a tar file
  docker-archive:FILE[:NAME]  what "docker save" writes
  docker://NAME, or NAME      an image in a registry: registry/name:tag
  containerd:[NAMESPACE/]NAME an image in containerd, its name with the host
A layout, an archive and a registry also take @sha256:… at the end of IMAGE.

LAYER is one of
  tar:FILE, tar:-             a layer tar, plain, gzip or zstd
  wclayer:DIR                 a transport directory or a final layer directory
  cim:FILE.cim                a CimFS image`
