# docker build -t unnoise . && docker run --rm -p 7860:7860 unnoise
FROM python:3.12-slim

# Not root; Hugging Face Spaces expect this very user.
RUN useradd --create-home --uid 1000 user
USER user
ENV HOME=/home/user \
    PATH=/home/user/.local/bin:$PATH
RUN mkdir /home/user/app
WORKDIR /home/user/app

# Before the code, so that a change of the code does not install everything again. Wheels only: the
# image has no compiler. The argument admits an index of PyTorch builds for the CPU, which are smaller.
ARG PIP_EXTRA_INDEX_URL
COPY --chown=user:user requirements.txt .
RUN pip install --user --no-cache-dir --only-binary=:all: -r requirements.txt

COPY --chown=user:user . .

ENV GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "-c", \
    "from urllib.request import ProxyHandler, build_opener; from app.settings import current; build_opener(ProxyHandler({})).open(f'http://127.0.0.1:{current().port}/gradio_api/app_id', timeout=5)"]
CMD ["python", "app.py"]
