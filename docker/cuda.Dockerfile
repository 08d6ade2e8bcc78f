# The node on an NVIDIA GPU, on top of the image for a CPU; see docker/README.md.
ARG BASE=derain_ros:cpu
FROM ${BASE}

# TensorRT for RTX and the bindings of CUDA are wheels; the driver comes from the host
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN pip3 install --no-cache-dir -r src/derain_ros/requirements/tensorrt.txt \
    -c "src/derain_ros/requirements/constraints-$ROS_DISTRO.txt"
