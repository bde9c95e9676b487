# UNBUILT: nobody has built or run this image yet; there was no Jetson and no Docker daemon at hand.
# The health check needs `metrics = "127.0.0.1:9570"` in edge.toml. Once it was built: put here who built it, on which Jetson and JetPack, and what `leuko-edge doctor` said.
#
# An edge on a Jetson with JetPack 6 (TensorRT 10.3, CUDA 12.6, Python 3.10). The wheelhouse is collected on a Jetson of this kind,
# with the system's Python, for its wheels are for 64-bit ARM; PyCUDA's is among them (docs/install-gpu.md):
#     make wheelhouse PYTHON=/usr/bin/python3 WITH=builder WHEELS=wheels
#     docker build -f deploy/docker/jetpack.Dockerfile -t leukostream:0.1.0-jp6 .
#     docker run --rm --runtime nvidia --network host -v /etc/leukostream:/etc/leukostream:ro -v leukostream:/var/lib/leukostream leukostream:0.1.0-jp6
# For JetPack 7 take its image of the same name and its Python 3.12.
FROM nvcr.io/nvidia/l4t-tensorrt:r10.3.0-runtime

RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 python3-venv libglib2.0-0 libgl1 libaravis-0.8-0 \
 && rm -rf /var/lib/apt/lists/*

# TensorRT's Python package belongs to the image's own Python, so the environment may see it.
RUN python3 -m venv --system-site-packages /opt/leukostream
RUN --mount=type=bind,source=wheelhouse,target=/wheelhouse python3 /wheelhouse/install.py --into /opt/leukostream

RUN useradd --system --home-dir /var/lib/leukostream --create-home --groups video leukostream
USER leukostream
WORKDIR /var/lib/leukostream
ENV PATH=/opt/leukostream/bin:$PATH
VOLUME /var/lib/leukostream
EXPOSE 5570 5571 9570
HEALTHCHECK --interval=30s --start-period=180s CMD python3 -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9570/healthz', timeout=5)"
STOPSIGNAL SIGTERM
ENTRYPOINT ["leuko-edge"]
CMD ["serve", "--config", "/etc/leukostream/edge.toml"]
