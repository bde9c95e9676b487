# UNBUILT: nobody has built or run this image yet; it was written on a computer without a GPU and without a Docker daemon.
# The health check needs `metrics = "127.0.0.1:9570"` in edge.toml. Once it was built: put here who built it, on which GPU and driver, and what `leuko-edge doctor` said.
#
# An edge on a desktop or server GPU, from a wheelhouse alone. On a computer with the network, Python 3.12 and x86-64:
#     make wheelhouse WITH=builder WHEELS=wheels      # wheels: PyCUDA's and TensorRT's, see docs/install-gpu.md
#     docker build -f deploy/docker/desktop-gpu.Dockerfile -t leukostream:0.1.0 .
#     docker run --rm --gpus all --network host -v /etc/leukostream:/etc/leukostream:ro -v leukostream:/var/lib/leukostream leukostream:0.1.0
FROM python:3.12-slim-bookworm

# libcuda.so.1 is the driver's and is passed in by --gpus; the rest of CUDA is not needed to run an engine.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libglib2.0-0 libgl1 libaravis-0.8-0 \
 && rm -rf /var/lib/apt/lists/*

RUN --mount=type=bind,source=wheelhouse,target=/wheelhouse python3 /wheelhouse/install.py --into /opt/leukostream

RUN useradd --system --home-dir /var/lib/leukostream --create-home leukostream
USER leukostream
WORKDIR /var/lib/leukostream
ENV PATH=/opt/leukostream/bin:$PATH
VOLUME /var/lib/leukostream
EXPOSE 5570 5571 9570
HEALTHCHECK --interval=30s --start-period=120s CMD python3 -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9570/healthz', timeout=5)"
STOPSIGNAL SIGTERM
ENTRYPOINT ["leuko-edge"]
CMD ["serve", "--config", "/etc/leukostream/edge.toml"]
