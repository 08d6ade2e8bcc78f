# The node on a CPU; docker/README.md says how to build and to run it.
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /workspace
# from Ubuntu 24.04 on, pip leaves the system's Python alone unless it is told otherwise
ENV PIP_BREAK_SYSTEM_PACKAGES=1

# what changes seldom comes first, so that a new commit does not install it again
COPY package.xml src/derain_ros/
COPY requirements src/derain_ros/requirements
# no versions: apt has those of the distribution
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-pip \
    && rosdep update --rosdistro "$ROS_DISTRO" \
    && rosdep install --from-paths src --ignore-src --dependency-types exec --yes \
    && rm -rf /var/lib/apt/lists/* \
    && pip3 install --no-cache-dir -r src/derain_ros/requirements/runtime.txt \
        -c "src/derain_ros/requirements/constraints-$ROS_DISTRO.txt"

COPY . src/derain_ros
RUN . "/opt/ros/$ROS_DISTRO/setup.bash" \
    && colcon build --packages-select derain_ros

ENTRYPOINT ["/workspace/src/derain_ros/docker/entrypoint.sh"]
CMD ["ros2", "launch", "derain_ros", "derain.launch.py"]
