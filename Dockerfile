# On the CPU:  docker build -t unnoise . && docker run --rm -p 7860:7860 unnoise
# With CUDA:   docker build -t unnoise --build-arg TORCH=cuda . && docker run --rm --gpus all -p 7860:7860 unnoise

# What pip installs, in a stage of its own.
FROM python:3.12-slim AS packages
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
ARG TORCH=cpu
# PyTorch's own index of builds for the CPU; those on PyPI bring CUDA, at many times the size.
# If it is empty, pip's index decides.
ARG TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
COPY requirements.txt /tmp/
# Wheels only: there is no compiler, here or in what comes of it.
RUN case "$TORCH" in \
        cpu) index="$TORCH_CPU_INDEX" ;; \
        cuda) index= ;; \
        *) echo "TORCH must be cpu or cuda, got '$TORCH'." >&2; exit 1 ;; \
    esac && \
    grep '^torch\b' /tmp/requirements.txt >/tmp/torch.txt && \
    pip install --no-cache-dir --only-binary=:all: ${index:+--index-url "$index"} -r /tmp/torch.txt && \
    pip install --no-cache-dir --only-binary=:all: -r /tmp/requirements.txt

FROM python:3.12-slim
# Not root; Hugging Face Spaces expect this very number. The code is root's: a user can only run it.
# A volume on .cache keeps what people trained, and what was downloaded.
RUN useradd --create-home --uid 1000 user && install -d -o user -g user /home/user/.cache
COPY --from=packages /venv /venv
WORKDIR /home/user/app
COPY . .
RUN /venv/bin/python -m compileall -q .
USER 1000
ENV HOME=/home/user \
    PATH=/venv/bin:$PATH \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    UNNOISE_LOG=1
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "-c", \
    "from urllib.request import ProxyHandler, build_opener; from app.settings import current; build_opener(ProxyHandler({})).open(f'http://127.0.0.1:{current().port}/healthz', timeout=5)"]
CMD ["python", "app.py"]
